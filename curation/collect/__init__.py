"""Rating studies in a browser: plan, prepared media, sessions, server, export."""

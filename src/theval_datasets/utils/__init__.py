"""What every part uses: files, records, progress, optional packages."""

// Rows of the dataset: loading, filtering and sorting. Their text is untrusted, so the page shows it by
// textContent only.
"use strict";

const explorer = (() => {
  const KEPT = 12; // most recently read files that stay in memory
  const received = new Map();
  const waiting = new Map();
  const collator = new Intl.Collator(undefined, { numeric: true });

  /** Called by the scripts that hold data. */
  function receive(name, content) {
    received.delete(name);
    received.set(name, content);
    if (received.size > KEPT) received.delete(received.keys().next().value);
    const promise = waiting.get(name);
    waiting.delete(name);
    if (promise) promise.resolve(content);
  }

  /** The content of a file, as a promise. Files are scripts, since a page opened from disk can load nothing else. */
  function load(name) {
    if (received.has(name)) return Promise.resolve(received.get(name));
    if (waiting.has(name)) return waiting.get(name).promise;
    const entry = {};
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    waiting.set(name, entry);
    const script = document.createElement("script");
    script.src = `${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      waiting.delete(name);
      script.remove();
      entry.reject(new Error(`${name}.js cannot be loaded`));
    };
    document.head.append(script);
    return entry.promise;
  }

  const padded = (number) => String(number).padStart(6, "0");

  /** The numbers in a base64 text, of a type given by its name. */
  function decode(packed) {
    if (!packed) return null;
    const [kind, text] = Object.entries(packed)[0];
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const types = { f4: Float32Array, f8: Float64Array, i2: Int16Array, u1: Uint8Array, u4: Uint32Array };
    return new types[kind](bytes.buffer);
  }

  /** A table of columns. */
  class Rows {
    constructor(content) {
      this.content = content;
      this.n = content.n;
      this.columns = content.columns.filter((c) => c.kind !== "hidden").map(prepared);
      this.hidden = content.columns.filter((c) => c.kind === "hidden");
      this.byName = new Map(this.columns.map((c) => [c.name, c]));
    }

    isNull(column, row) {
      return column.kind === "number" ? Number.isNaN(column.values[row]) : column.codes[row] < 0;
    }

    /** The value of a cell; null if it is undefined. */
    value(column, row) {
      if (this.isNull(column, row)) return null;
      return column.kind === "number" ? column.values[row] : column.levels[column.codes[row]];
    }

    /** The reasons why a value is null: the entries of the column `missing` for its origin. */
    reason(column, row) {
      const missing = this.byName.get("missing");
      const entries = missing ? (this.value(missing, row) || "").split(", ") : [];
      const own = entries.filter((entry) => entry.startsWith(`${column.origin}:`));
      return own.length ? own.join(", ") : "no reason given";
    }

    name(row) {
      const column = ["clip_id", "model", "generator"].map((name) => this.byName.get(name)).find(Boolean);
      return (column && this.value(column, row)) || `row ${row + 1}`;
    }

    /** Rows that pass every filter and contain the searched text, in order. */
    select({ filters, search, sort }) {
      const tests = filters.map((filter) => this.test(filter)).filter(Boolean);
      if (search.trim()) tests.push(this.searching(search.trim().toLowerCase()));
      const kept = [];
      for (let row = 0; row < this.n; row++) if (tests.every((test) => test(row))) kept.push(row);
      return this.sorted(kept, sort);
    }

    /** The condition of a filter, as a function of a row; null if every row passes. */
    test({ column, nulls, low, high, text, levels }) {
      const parts = [];
      if (nulls === "only") parts.push((row) => this.isNull(column, row));
      if (nulls === "none") parts.push((row) => !this.isNull(column, row));
      // A comparison with NaN is false, so a limit excludes nulls.
      if (Number.isFinite(low)) parts.push((row) => column.values[row] >= low);
      if (Number.isFinite(high)) parts.push((row) => column.values[row] <= high);
      if (text) {
        const hit = lowered(column).map((level) => level.includes(text.toLowerCase()));
        parts.push((row) => column.codes[row] >= 0 && hit[column.codes[row]]);
      }
      if (levels && levels.size) parts.push((row) => levels.has(column.codes[row]));
      return parts.length ? (row) => parts.every((part) => part(row)) : null;
    }

    searching(text) {
      const hits = this.columns
        .filter((column) => column.kind !== "number")
        .map((column) => [column.codes, lowered(column).map((level) => level.includes(text))]);
      return (row) => hits.some(([codes, hit]) => codes[row] >= 0 && hit[codes[row]]);
    }

    /** Rows sorted by a column, nulls last in both directions. */
    sorted(rows, sort) {
      const column = sort && this.byName.get(sort.name);
      if (!column) return rows;
      const key = column.kind === "number" ? column.values : column.codes.map((c) => (c < 0 ? NaN : ranks(column)[c]));
      const sign = sort.descending ? -1 : 1;
      return rows.sort((a, b) => {
        const [x, y] = [key[a], key[b]];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
        return sign * (x - y) || a - b;
      });
    }

    /** Details of a row, as a promise. */
    async details(row) {
      const shard = await load(`data/details-${padded(Math.floor(row / this.content.shard))}`);
      return shard.clips[row % this.content.shard];
    }

    /** FLAME motion of a clip, as a promise; null if there is none. */
    motion(details) {
      return details.motion === null || details.motion === undefined ? null : load(`motion/${padded(details.motion)}`);
    }

    /** A mesh by the number of its file, as a promise. */
    mesh(number) {
      return load(`meshes/${padded(number)}`);
    }

    /** Per-frame values of a clip, one entry per track, as a promise. */
    frames(details) {
      return Promise.all(details.frames.map((number) => load(`frames/${padded(number)}`)));
    }
  }

  function prepared(column) {
    if (column.kind !== "number") return { ...column, codes: Float64Array.from(column.codes) };
    return { ...column, values: Float64Array.from(column.values, (v) => (v === null ? NaN : v)) };
  }

  function lowered(column) {
    column.lowered ??= column.levels.map((level) => level.toLowerCase());
    return column.lowered;
  }

  function ranks(column) {
    if (!column.ranks) {
      const order = column.levels.map((_, i) => i).sort((a, b) => collator.compare(column.levels[a], column.levels[b]));
      column.ranks = new Float64Array(order.length);
      order.forEach((level, rank) => (column.ranks[level] = rank));
    }
    return column.ranks;
  }

  /** A formatted number: all digits of whole numbers, five significant digits of others. */
  function format(value) {
    if (value === null) return "null";
    if (typeof value !== "number") return value;
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
  }

  /** An element with a class, text and children. */
  function make(tag, { text, ...properties } = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  }

  const find = (id) => document.getElementById(id);

  return { receive, load, decode, Rows, format, make, find };
})();

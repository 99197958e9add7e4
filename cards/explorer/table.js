// The table: only visible rows are in the document.
"use strict";

explorer.Table = class {
  static HEIGHT = 30; // of a row in pixels, as in explorer.css
  static AROUND = 12; // rows beyond the visible ones

  /**
   * @param {HTMLElement} box - the scrolling element with the table in it
   * @param {explorer.Rows} rows - all rows
   * @param {{open: function(number), sort: function(string)}} actions - actions of clicks
   */
  constructor(box, rows, actions) {
    Object.assign(this, { box, rows, actions, order: [], shown: [], active: 0, sort: null });
    this.head = box.querySelector("thead");
    this.body = box.querySelector("tbody");
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("tr[data-place]");
      if (!line) return;
      this.active = Number(line.dataset.place);
      actions.open(this.order[this.active]);
    });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /** Show the columns with the given names. */
  setColumns(names) {
    this.shown = names.map((name) => this.rows.byName.get(name)).filter(Boolean);
    this.drawHead();
    this.draw(true);
  }

  /** Show rows in the given order. */
  setOrder(order, sort) {
    this.order = order;
    this.sort = sort;
    this.active = Math.min(this.active, Math.max(0, order.length - 1));
    this.drawHead();
    this.draw(true);
  }

  drawHead() {
    const { make } = explorer;
    const line = make("tr");
    for (const column of this.shown) {
      const sorted = this.sort && this.sort.name === column.name;
      const arrow = sorted ? (this.sort.descending ? " ↓" : " ↑") : "";
      const unit = column.unit ? ` (${column.unit})` : "";
      const button = make("button", { type: "button", text: column.name + arrow, title: column.meaning + unit });
      button.addEventListener("click", () => this.actions.sort(column.name));
      const cell = make("th", { scope: "col", className: column.kind === "number" ? "n" : "" }, button);
      cell.style.width = `${width(column)}ch`;
      if (sorted) cell.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
      line.append(cell);
    }
    const focused = document.activeElement && this.head.contains(document.activeElement);
    const place = focused ? [...this.head.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    this.head.replaceChildren(line);
    if (place >= 0) this.head.querySelectorAll("button")[place]?.focus();

    function width(column) {
      const title = column.name.length + 3;
      if (column.kind === "number") return Math.max(9, title);
      column.longest ??= column.levels.slice(0, 500).reduce((most, level) => Math.max(most, level.length), 0);
      return Math.max(title, Math.min(34, column.longest + 2));
    }
  }

  draw(again = false) {
    const { HEIGHT, AROUND } = explorer.Table;
    const first = Math.max(0, Math.floor(this.box.scrollTop / HEIGHT) - AROUND);
    const stop = Math.min(this.order.length, first + Math.ceil(this.box.clientHeight / HEIGHT) + 2 * AROUND);
    if (!again && first === this.first && stop === this.stop) return;
    Object.assign(this, { first, stop });
    const lines = [this.space(first * HEIGHT)];
    for (let place = first; place < stop; place++) lines.push(this.line(place));
    lines.push(this.space((this.order.length - stop) * HEIGHT));
    this.body.replaceChildren(...lines);
  }

  space(height) {
    const line = explorer.make("tr", { className: "space" });
    line.style.height = `${height}px`;
    line.setAttribute("aria-hidden", "true");
    return line;
  }

  line(place) {
    const { make, format } = explorer;
    const row = this.order[place];
    const line = make("tr", { id: `row-${row}`, className: place === this.active ? "active" : "" });
    line.dataset.place = place;
    line.setAttribute("aria-rowindex", place + 2);
    for (const column of this.shown) {
      const value = this.rows.value(column, row);
      const cell = make("td", { className: column.kind === "number" ? "n" : "", text: value === null ? "–" : format(value) });
      if (value === null) {
        cell.classList.add("null");
        cell.title = `null: ${this.rows.reason(column, row)}`;
      } else if (column.kind !== "number") cell.title = value;
      line.append(cell);
    }
    return line;
  }

  key(event) {
    if (event.target !== this.box || !this.order.length) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / explorer.Table.HEIGHT) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter") this.actions.open(this.order[this.active]);
    else if (event.key in steps) this.move(this.active + steps[event.key]);
    else return;
    event.preventDefault();
  }

  /** Activate the row at a position, and scroll to it. */
  move(place) {
    const { HEIGHT } = explorer.Table;
    this.active = Math.max(0, Math.min(this.order.length - 1, place));
    const top = this.active * HEIGHT;
    const seen = this.box.clientHeight - 2 * HEIGHT; // the header covers one row
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top > this.box.scrollTop + seen) this.box.scrollTop = top - seen;
    this.draw(true);
    this.box.setAttribute("aria-activedescendant", `row-${this.order[this.active]}`);
  }
};

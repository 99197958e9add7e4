// The page: filters, tabs, and the open clip.
"use strict";

(async () => {
  const { find, make, format, load, plots } = explorer;
  const FIRST = ["model", "kind", "definition", "final", "rank", "left", "right", "winner", "subject", "clip_id", "split", "generator", "mos", "quality_mos", "authenticity_mos", "distortions", "content_id", "duration", "language", "n_subjects", "speech_ratio", "face_ratio", "lip_sync", "head_motion", "lip_dynamics"];
  const state = { filters: [], search: "", sort: null, order: [], tab: "table", active: null };

  let content;
  try {
    content = await load("data/rows");
  } catch (error) {
    find("about").textContent = `${error.message}: the folder "data" has to lie beside this page.`;
    return;
  }
  const clips = new explorer.Rows(content);
  const asked = new URLSearchParams(location.hash.slice(1));
  const about = content.tables.find((candidate) => candidate.name === asked.get("table"));
  let rows = clips;
  try {
    if (about) rows = new explorer.Rows(await load(about.file));
  } catch (error) {
    find("about").textContent = error.message;
    return;
  }
  const places = new Map(Array.from({ length: rows === clips ? 0 : clips.n }, (_, i) => [clips.name(i), i]));
  const named = rows.byName.get("clip_id");
  /** The clip of a row; undefined if there is none. */
  const clipOf = (row) => (rows === clips || row === undefined ? row : named && places.get(rows.value(named, row)));
  const numeric = rows.columns.filter((column) => column.kind === "number");
  const textual = rows.columns.filter((column) => column.kind === "text");
  const known = (column) => (column.kind === "number" ? column.values.some((v) => !Number.isNaN(v)) : column.codes.some((c) => c >= 0));
  const varied = (column) => known(column) && (column.kind === "number" ? new Set(column.values.filter((v) => !Number.isNaN(v))).size > 1 : column.levels.length > 1);
  const next = (by) => state.order[state.order.indexOf(state.active) + by];
  const clip = new explorer.Clip(clips, { beside: (by) => clipOf(next(by)) !== undefined, step: (by) => open(next(by)), place: () => (about ? [`table=${encodeURIComponent(about.name)}`] : []) });
  const table = new explorer.Table(find("rows"), rows, { open, sort });

  function open(row) {
    const chosen = clipOf(row);
    if (chosen === undefined) return;
    state.active = row;
    clip.open(chosen);
  }

  function sort(name) {
    const again = state.sort && state.sort.name === name;
    state.sort = again && state.sort.descending ? null : { name, descending: again };
    apply();
  }

  /** Select rows by the filters, and draw the visible tab. */
  function apply() {
    state.order = rows.select(state);
    find("count").textContent = `${state.order.length.toLocaleString("en")} of ${rows.n.toLocaleString("en")} ${rows === clips ? "clips" : "rows"}`;
    draw();
  }

  function draw() {
    if (state.tab === "table") table.setOrder(state.order, state.sort);
    if (state.tab === "scatter") drawScatter();
    if (state.tab === "distribution") drawDistribution();
  }

  // Head

  const counts = Object.entries(content.counts).map(([name, count]) => `${name.replaceAll("_", " ")} ${format(count)}`);
  find("about").textContent = (about || content).description;
  const tables = [{ name: content.config, n: content.n }, ...content.tables];
  for (const entry of tables) find("table-name").append(make("option", { value: entry.name, text: `${entry.name} (${entry.n.toLocaleString("en")} rows)` }));
  find("table-name").value = about ? about.name : content.config;
  find("table-choice").hidden = tables.length < 2;
  find("table-name").addEventListener("change", (event) => {
    location.hash = event.target.value === content.config ? "" : `table=${encodeURIComponent(event.target.value)}`;
    location.reload();
  });
  find("notes").append(...[counts.join(", "), ...content.notes].filter(Boolean).map((text) => make("li", { text })));

  // Filters

  const adding = find("add-filter");
  for (const column of rows.columns) adding.append(make("option", { value: column.name, text: column.name }));
  adding.addEventListener("change", () => {
    const column = rows.byName.get(adding.value);
    adding.value = "";
    if (column) addFilter(column);
  });
  find("search").addEventListener("input", (event) => {
    state.search = event.target.value;
    apply();
  });
  find("clear").addEventListener("click", () => {
    state.filters = [];
    state.search = find("search").value = "";
    find("chips").replaceChildren();
    apply();
  });
  find("filters").addEventListener("submit", (event) => event.preventDefault());

  function addFilter(column) {
    const filter = { column, nulls: "any" };
    state.filters.push(filter);
    const remove = make("button", { type: "button", text: "✕", ariaLabel: `Remove the filter of ${column.name}` });
    const box = make("div", { className: "chip" }, make("b", { text: column.name }));
    const changed = () => apply();
    if (column.kind === "number") box.append(...limits(column, filter, changed));
    else if (column.kind === "text" && column.levels.length <= 40) box.append(choices(column, filter, changed));
    else box.append(containing(column, filter, changed));
    const nulls = make("select", { ariaLabel: `Nulls of ${column.name}` });
    for (const [value, text] of [["any", "null or not"], ["none", "not null"], ["only", "null"]]) nulls.append(make("option", { value, text }));
    nulls.addEventListener("change", () => {
      filter.nulls = nulls.value;
      changed();
    });
    remove.addEventListener("click", () => {
      state.filters.splice(state.filters.indexOf(filter), 1);
      box.remove();
      adding.focus();
      apply();
    });
    box.append(nulls, remove);
    find("chips").append(box);
    box.querySelector("input, summary, select").focus();
  }

  function limits(column, filter, changed) {
    let [low, high] = [Infinity, -Infinity];
    for (const v of column.values) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
    const bounds = low > high ? ["", ""] : [format(low), format(high)];
    return ["low", "high"].map((side, i) => {
      const input = make("input", { type: "number", step: "any", placeholder: bounds[i], ariaLabel: `${column.name}, ${i ? "at most" : "at least"}` });
      input.addEventListener("input", () => {
        filter[side] = input.value === "" ? undefined : Number(input.value);
        changed();
      });
      return make("label", { text: i ? "≤" : "≥" }, input);
    });
  }

  function choices(column, filter, changed) {
    filter.levels = new Set();
    const counted = new Map();
    for (const code of column.codes) counted.set(code, (counted.get(code) || 0) + 1);
    const summary = make("summary", { text: "any" });
    const list = make("div", { className: "choices" });
    column.levels.forEach((level, code) => {
      const input = make("input", { type: "checkbox" });
      input.addEventListener("change", () => {
        if (input.checked) filter.levels.add(code);
        else filter.levels.delete(code);
        summary.textContent = filter.levels.size ? [...filter.levels].map((c) => column.levels[c]).join(", ").slice(0, 60) : "any";
        changed();
      });
      list.append(make("label", {}, input, make("span", { text: `${level || "(empty)"} (${counted.get(code) || 0})` })));
    });
    return make("details", {}, summary, list);
  }

  function containing(column, filter, changed) {
    const input = make("input", { type: "text", placeholder: "contains…", ariaLabel: `${column.name} contains` });
    input.addEventListener("input", () => {
      filter.text = input.value;
      changed();
    });
    return input;
  }

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("#filters details[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of document.querySelectorAll("#filters details[open]")) menu.open = false;
  });

  // Columns

  const shown = new Set(FIRST.filter((name) => rows.byName.has(name) && (name === "clip_id" || varied(rows.byName.get(name)))).slice(0, 12));
  if (shown.size < 4) rows.columns.filter(varied).slice(0, 8).forEach((column) => shown.add(column.name));
  if (!shown.size) rows.columns.slice(0, 8).forEach((column) => shown.add(column.name));
  for (const column of rows.columns) {
    const input = make("input", { type: "checkbox", checked: shown.has(column.name) });
    input.addEventListener("change", () => {
      if (input.checked) shown.add(column.name);
      else shown.delete(column.name);
      table.setColumns(rows.columns.map((c) => c.name).filter((name) => shown.has(name)));
    });
    const text = known(column) ? column.name : `${column.name} (all null)`;
    find("columns").append(make("label", { title: column.meaning }, input, make("span", { text })));
  }

  // Tabs

  const tabs = [...document.querySelectorAll("[role=tab]")];
  function choose(tab) {
    state.tab = tab.id.replace("tab-", "");
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      find(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    draw();
  }
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = tabs[(place + by + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  });

  // Plots

  const plottable = numeric.filter(varied).length ? numeric.filter(varied) : numeric;
  const groupable = textual.filter((column) => varied(column) && column.levels.length <= Math.max(50, rows.n / 4));
  fill("scatter-x", plottable, ["speech_ratio", "lip_sync", "duration"]);
  fill("scatter-y", plottable, ["mos", "quality_mos", "final", "head_motion", "yaw_std"]);
  fill("scatter-group", groupable, ["generator", "kind", "split"], true);
  fill("distribution-value", plottable, ["mos", "quality_mos", "final", "lip_sync", "duration"]);
  fill("distribution-group", groupable, ["generator", "model", "kind", "language", "split"], true);

  function fill(id, columns, wanted, none = false) {
    const select = find(id);
    if (none) select.append(make("option", { value: "", text: "nothing" }));
    for (const column of columns) select.append(make("option", { value: column.name, text: column.name, title: column.meaning }));
    const first = wanted.find((name) => columns.some((column) => column.name === name));
    select.value = first ?? (none ? "" : columns[id === "scatter-y" && columns.length > 1 ? 1 : 0]?.name ?? "");
    select.addEventListener("change", draw);
  }
  const chosen = (id) => rows.byName.get(find(id).value);

  let points = [];
  function drawScatter() {
    const [x, y, group] = ["scatter-x", "scatter-y", "scatter-group"].map(chosen);
    if (!x || !y) {
      find("scatter-facts").textContent = "No two columns of numbers to plot.";
      return;
    }
    const made = plots.scatter(find("scatter"), rows, state.order, x, y, group, state.active);
    points = made.points;
    const r = (v) => (v === null ? "undefined" : v.toFixed(3));
    const facts = `${made.n.toLocaleString("en")} ${rows === clips ? "clips" : "rows"} with both values; PLCC ${r(made.plcc)}, SRCC ${r(made.srcc)}. A click opens a clip.${state.active === null ? "" : ` Chosen: ${rows.name(state.active)}.`}`;
    find("scatter-facts").textContent = facts;
    find("scatter").setAttribute("aria-label", `${x.name} against ${y.name}: ${facts}`);
    const items = group ? made.names.map((name, i) => make("li", {}, plots.legendMark(i), make("span", { text: ` ${name}` }))) : [];
    find("scatter-legend").replaceChildren(...items);
  }
  function nearest(event) {
    let [best, least] = [null, 144];
    for (const point of points) {
      const distance = (point.x - event.offsetX) ** 2 + (point.y - event.offsetY) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  }
  find("scatter").addEventListener("pointermove", (event) => {
    const point = nearest(event);
    event.target.title = point ? rows.name(point.row) : "";
    event.target.style.cursor = point ? "pointer" : "";
  });
  find("scatter").addEventListener("click", (event) => {
    const point = nearest(event);
    if (point) open(point.row);
  });
  find("scatter").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by && event.key !== "Enter") return;
    event.preventDefault();
    const inOrder = [...points].sort((a, b) => a.x - b.x);
    const place = inOrder.findIndex((point) => point.row === state.active);
    if (event.key === "Enter") {
      if (place >= 0) open(state.active);
      return;
    }
    const next = inOrder[Math.max(0, Math.min(inOrder.length - 1, place + by))];
    if (!next) return;
    state.active = next.row;
    drawScatter();
  });

  function drawDistribution() {
    const [value, group] = ["distribution-value", "distribution-group"].map(chosen);
    if (!value) {
      find("distribution-facts").textContent = "No column of numbers to plot.";
      return;
    }
    const made = plots.distribution(find("distribution"), rows, state.order, value, group);
    const by = group ? ` by ${group.name}` : "";
    find("distribution-facts").textContent = `${made.n.toLocaleString("en")} clips with ${value.name}${by}. Boxes: quartiles, lines to the 5th and 95th percentile, thick line: median.`;
    const medians = made.lines.map((line) => `${line.name}: median ${format(line.median)}, ${line.n} clips`).join("; ");
    find("distribution").setAttribute("aria-label", `${value.name}${by}: ${medians}`);
  }

  let wide = 0;
  new ResizeObserver(([entry]) => {
    if (entry.contentRect.width !== wide) draw();
    wide = entry.contentRect.width;
  }).observe(document.querySelector("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    draw();
    clip.redraw();
  });

  table.setColumns(rows.columns.map((c) => c.name).filter((name) => shown.has(name)));
  apply();
  requestAnimationFrame(() => setTimeout(() => performance.mark("explorer-shown")));
  if (asked.has("clip")) {
    const row = Array.from({ length: rows.n }, (_, i) => i).find((i) => rows.name(i) === asked.get("clip"));
    if (row !== undefined) open(row);
  }
})();

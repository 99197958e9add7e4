// A clip: its video with an overlay of the measurements, curves with a cursor, ratings, and all values.
"use strict";

explorer.Clip = class {
  /**
   * @param {explorer.Rows} rows - all clips
   * @param {{beside: function(number): boolean, step: function(number), place: function(): string[]}} actions - `beside(n)`: whether
   *   there is a clip n rows further on; `step(n)`: go to it; `place()`: parts of the address that name the table
   */
  constructor(rows, actions) {
    const { find } = explorer;
    Object.assign(this, { rows, actions, row: null, tracks: [], charts: [], now: 0, offset: null });
    this.dialog = find("clip");
    this.stage = find("stage");
    this.video = find("video");
    this.audio = find("audio");
    this.poster = find("poster");
    this.overlay = find("overlay");
    find("clip-close").addEventListener("click", () => this.dialog.close());
    find("clip-previous").addEventListener("click", () => this.step(-1));
    find("clip-next").addEventListener("click", () => this.step(1));
    this.dialog.addEventListener("close", () => this.leave());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    for (const id of ["show-mesh", "show-tracks", "show-pose"]) find(id).addEventListener("change", () => this.draw());
    this.video.addEventListener("loadedmetadata", () => this.fitted());
    this.video.addEventListener("error", () => this.unplayable());
    this.video.addEventListener("seeking", () => (this.arrived = null));
    for (const name of ["seeked", "timeupdate"]) this.video.addEventListener(name, () => this.followed());
    new ResizeObserver(() => this.redraw()).observe(this.stage);
  }

  /** Open a clip. */
  async open(row) {
    const { find } = explorer;
    this.leave();
    this.row = row;
    find("clip-name").textContent = this.rows.name(row);
    find("clip-previous").disabled = !this.actions.beside(-1);
    find("clip-next").disabled = !this.actions.beside(1);
    if (!this.dialog.open) this.dialog.showModal();
    history.replaceState(null, "", `#${[...this.actions.place(), `clip=${encodeURIComponent(this.rows.name(row))}`].join("&")}`);
    this.say("");
    this.facts({ texts: {}, ratings: [], notes: [] });
    try {
      const details = await this.rows.details(row);
      const [tracks, motion] = await Promise.all([this.rows.frames(details), this.rows.motion(details)]);
      if (this.row !== row) return; // another clip was opened meanwhile
      this.show(details, tracks, motion);
    } catch (error) {
      if (this.row === row) this.say(error.message);
    }
  }

  leave() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.audio.removeAttribute("src");
    this.audio.load();
    this.video.hidden = this.poster.hidden = this.audio.hidden = true;
    this.row = null;
    this.tracks = [];
    this.charts = [];
    this.offset = this.arrived = null;
    this.video.removeAttribute("aria-busy");
    this.now = 0;
    explorer.find("curves").replaceChildren();
    explorer.find("stills").replaceChildren();
    history.replaceState(null, "", [location.pathname + location.search, ...this.actions.place()].join("#"));
  }

  step(by) {
    if (this.actions.beside(by)) this.actions.step(by);
  }

  key(event) {
    const typing = event.target.closest("input, select, video");
    if (typing || event.altKey || event.ctrlKey || event.metaKey) return;
    const frame = this.tracks.length ? 1 / 25 : 0.1;
    if (event.key === "n") this.step(1);
    else if (event.key === "p") this.step(-1);
    else if (event.key === " " && !event.target.closest("button") && !this.video.hidden) this.video.paused ? this.video.play() : this.video.pause();
    else if (event.key === "ArrowRight" && event.target.closest("canvas")) this.seek(this.now + frame);
    else if (event.key === "ArrowLeft" && event.target.closest("canvas")) this.seek(this.now - frame);
    else return;
    event.preventDefault();
  }

  say(text) {
    explorer.find("stage-note").textContent = text;
  }

  show(details, tracks, motion) {
    this.tracks = tracks.map(unpacked);
    this.points = this.rows.content.points;
    this.shape(details);
    this.facts(details);
    this.drawStills(details.stills);
    this.drawMeshes(details);
    this.makeCurves();
    if (motion) this.makeMotion(motion);
    if (details.audio) {
      this.audio.src = details.audio;
      this.audio.hidden = false;
    }
    this.stage.hidden = !(details.video || details.poster || this.tracks.some((t) => t.mesh));
    explorer.find("layers").hidden = !this.tracks.length;
    if (details.poster) {
      this.poster.src = details.poster;
      this.poster.hidden = false;
    }
    if (details.video) {
      this.video.src = details.video;
      this.video.hidden = false;
      this.watch();
    } else if (!this.stage.hidden) this.say("The dataset holds no video of this clip: the curves move the frame that is drawn.");
    this.redraw();
  }

  /** Fit the stage to the width of its container, limited by the height of the window. */
  shape(details) {
    const column = (name) => {
      const entry = this.rows.byName.get(name);
      return entry && entry.kind === "number" ? this.rows.value(entry, this.row) : null;
    };
    const [width, height] = [this.tracks[0]?.width || column("width") || 16, this.tracks[0]?.height || column("height") || 9];
    this.fit(width / height);
  }

  fit(ratio) {
    this.stage.style.aspectRatio = String(ratio);
    this.stage.style.width = `min(100%, ${Math.round(ratio * 56)}vh)`;
  }

  fitted() {
    if (this.video.hidden) return;
    if (!this.video.videoWidth) this.unplayable();
    else this.fit(this.video.videoWidth / this.video.videoHeight);
  }

  unplayable() {
    if (this.video.hidden || !this.video.getAttribute("src")) return;
    this.video.hidden = true;
    this.video.removeAttribute("aria-busy");
    this.offset = 0;
    this.say("This browser does not play the clip's codec: the curves move the frame that is drawn.");
  }

  /** Follow the frames that the video shows. The time of the first frame is second 0 of all measurements. */
  watch() {
    const row = this.row;
    if (!this.video.requestVideoFrameCallback) return;
    this.video.setAttribute("aria-busy", "true");
    const next = (_, about) => {
      if (this.row !== row) return;
      this.video.requestVideoFrameCallback(next);
      if (this.offset === null) {
        this.offset = this.video.currentTime < 0.05 || about.mediaTime < 0.05 ? about.mediaTime : 0;
        this.video.removeAttribute("aria-busy");
        if (this.now) return this.seek(this.now); // as was asked for before the first frame came
      }
      if (this.video.seeking) this.arrived = about.mediaTime;
      else this.at(about.mediaTime - this.offset);
    };
    this.video.requestVideoFrameCallback(next);
  }

  /** Draw again after a seek: its frame may be shown before `seeked`, and a paused video shows no further frame. */
  followed() {
    if (this.video.hidden || this.video.seeking) return;
    if (!this.video.requestVideoFrameCallback) this.at(this.video.currentTime - (this.offset || 0));
    else if (this.arrived !== null) this.at(this.arrived - (this.offset || 0));
    this.arrived = null;
  }

  /** Go to a time in seconds. */
  seek(second) {
    const end = this.charts[0]?.content.end ?? (this.video.duration || 0);
    const wanted = Math.min(Math.max(0, second), end);
    this.at(wanted);
    if (this.video.hidden || this.video.hasAttribute("aria-busy")) return;
    this.video.currentTime = wanted + (this.offset || 0) + 1e-4;
  }

  at(second) {
    this.now = second;
    explorer.find("clock").textContent = `${second.toFixed(2)} s`;
    this.draw();
    for (const chart of this.charts) {
      chart.second = explorer.plots.curves(chart.canvas, chart.content, second);
      chart.canvas.setAttribute("aria-valuenow", second.toFixed(2));
      chart.canvas.setAttribute("aria-valuetext", `${second.toFixed(2)} s`);
    }
  }

  redraw() {
    if (this.row !== null) this.at(this.now);
  }

  /** Draw the mesh, box and head axes of each track at the current time. */
  draw() {
    const { find, plots } = explorer;
    const { pen, width, height } = plots.start(this.overlay);
    const on = { mesh: find("show-mesh").checked, tracks: find("show-tracks").checked, pose: find("show-pose").checked };
    this.tracks.forEach((track, index) => {
      const frame = frameAt(track, this.now);
      if (frame < 0 || !track.mesh || !track.face[frame]) return;
      const first = track.before[frame] * this.points * 2;
      const px = (k) => track.mesh[first + 2 * k] * track.scale * width;
      const py = (k) => track.mesh[first + 2 * k + 1] * track.scale * height;
      const colour = explorer.Clip.BRIGHT[index % explorer.Clip.BRIGHT.length];
      const eyes = Math.hypot((px(33) + px(133) - px(263) - px(362)) / 2, (py(33) + py(133) - py(263) - py(362)) / 2);
      if (on.mesh) {
        pen.fillStyle = colour;
        const dot = Math.max(1.3, 0.022 * eyes);
        for (let k = 0; k < Math.min(468, this.points); k++) pen.fillRect(px(k) - dot / 2, py(k) - dot / 2, dot, dot);
      }
      if (on.tracks) drawBox(pen, px, py, Math.min(468, this.points), colour, label(track, index));
      if (on.pose && track.yaw) drawAxes(pen, px(1), py(1), 1.2 * eyes, track.pitch[frame], track.yaw[frame], track.roll[frame]);
    });

    function label(track, place) {
      const parts = [`#${track.track ?? place}`];
      if (track.person !== undefined && track.person !== null) parts.push(`p${track.person}`);
      if (track.kind && track.kind !== "person") parts.push(track.kind);
      return parts.join(" ");
    }
  }

  makeCurves() {
    const box = explorer.find("curves");
    const tracks = this.tracks;
    if (!tracks.length) return;
    const ends = tracks.map((t) => t.time[t.time.length - 1]);
    const span = { begin: Math.min(0, ...tracks.map((t) => t.time[0])), end: Math.max(...ends, 0.1) };
    const spans = speech(tracks[0]);
    const of = (name, dash) =>
      tracks.map((t, i) => t[name] && { times: t.time, values: t[name], series: tracks.length > 1 ? i : dash ? dash.series : 0, dash: dash && dash.line }).filter(Boolean);
    const sound = (name) => of(name).slice(0, 1);
    const angles = [["yaw", { series: 0 }], ["pitch", { series: 1, line: [6, 3] }], ["roll", { series: 2, line: [2, 2] }]];
    const shaded = spans.length ? "; shaded: speech" : "";
    const several = tracks.length > 1 ? ", a colour a track" : "";
    const charts = [
      ["Mouth openness", `Mouth openness${several}${shaded}`, of("openness"), spans],
      ["Loudness", `Loudness (RMS, full scale 1)${shaded}`, sound("loudness"), spans],
      ["Speech probability", "Speech probability", sound("speech_probability"), spans, [-0.03, 1.03]],
      ["Head pose", `Head pose in degrees: yaw solid, pitch dashed, roll dotted${several}`, angles.flatMap(([name, dash]) => of(name, dash)), []],
    ];
    for (const [name, caption, lines, shades, range] of charts) {
      const chart = this.chart(box, name, caption, { lines, spans: shades, range, ...span }, (second) => this.seek(second));
      if (chart) this.charts.push(chart);
    }
  }

  /** Show FLAME motion. It has no times, so its cursor is in frames and independent of video and sound. */
  makeMotion(motion) {
    const { decode, find, plots, make } = explorer;
    const times = Float64Array.from({ length: motion.frames }, (_, i) => i);
    const line = (packed, series, dash) => ({ times, values: decode(packed), series, dash });
    const [x, y, z] = motion.pose;
    const charts = [
      ["Jaw", "FLAME jaw: angle of its rotation in degrees", [line(motion.jaw, 0)]],
      ["Head", "FLAME head: rotation vector in degrees: x solid, y dashed, z dotted", [line(x, 0), line(y, 1, [6, 3]), line(z, 2, [2, 2])]],
      ["Expression", `FLAME expression: length of the vector of ${motion.dim} coefficients`, [line(motion.expression, 0)]],
    ];
    const box = find("curves");
    const statusText = make("p", { className: "quiet" });
    box.append(statusText);
    const made = [];
    const go = (frame) => {
      const at = Math.round(Math.min(motion.frames - 1, Math.max(0, frame)));
      statusText.textContent = `Motion of ${motion.frames} frames, without times; at frame ${at}: jaw ${explorer.format(charts[0][2][0].values[at])}°`;
      for (const chart of made) {
        chart.second = plots.curves(chart.canvas, chart.content, at);
        chart.canvas.setAttribute("aria-valuenow", at);
        chart.canvas.setAttribute("aria-valuetext", `frame ${at}`);
      }
      this.frame = at;
    };
    const set = { spans: [], begin: 0, end: Math.max(1, motion.frames - 1), unit: "" };
    for (const [name, caption, lines] of charts) {
      const chart = this.chart(box, `${name}, frame`, caption, { lines, ...set }, go);
      if (!chart) continue;
      chart.canvas.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        go(this.frame + by);
        event.preventDefault();
        event.stopPropagation();
      });
      new ResizeObserver(() => go(this.frame)).observe(chart.canvas);
      made.push(chart);
    }
    go(0);
  }

  /** Add curves with a cursor that the pointer moves; null if they have no values. */
  chart(box, name, caption, content, go) {
    const { make } = explorer;
    const figure = make("figure", {}, make("figcaption", { text: caption }));
    box.append(figure);
    if (!content.lines.some((line) => line.values.some((v) => !Number.isNaN(v)))) {
      figure.append(make("p", { className: "quiet", text: "Undefined for this clip." }));
      return null;
    }
    const canvas = make("canvas", { tabIndex: 0 });
    const set = { role: "slider", "aria-label": content.unit === "" ? name : `${name}: time`, "aria-valuemin": content.begin, "aria-valuemax": content.end.toFixed(2), "aria-valuenow": 0 };
    for (const [key, value] of Object.entries(set)) canvas.setAttribute(key, value);
    const chart = { canvas, content };
    const follow = (event) => go(chart.second(event.offsetX));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      follow(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && follow(event));
    figure.append(canvas);
    return chart;
  }

  /** Show the meshes of a sequence, one at a time. */
  drawMeshes({ meshes, mesh_frames: length }) {
    const { make, find } = explorer;
    if (!meshes || !meshes.length) return;
    const canvas = make("canvas", { className: "mesh", tabIndex: 0 });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Mesh; dragging and arrow keys turn it");
    const view = new explorer.Mesh(canvas);
    const statusText = make("p", { className: "quiet" });
    const slider = make("input", { type: "range", min: 0, max: meshes.length - 1, value: 0, ariaLabel: "Frame of the mesh" });
    find("stills").append(make("h3", { text: "Mesh" }), canvas, make("label", { text: "Frame " }, slider), statusText);
    if (!view.gl) {
      canvas.hidden = true;
      statusText.textContent = "This browser has no WebGL, by which meshes are drawn.";
      return;
    }
    const row = this.row;
    const show = async () => {
      const [frame, number] = meshes[Number(slider.value)];
      try {
        const mesh = await this.rows.mesh(number);
        if (this.row !== row || meshes[Number(slider.value)][1] !== number) return;
        view.show(mesh);
        statusText.textContent = `Frame ${frame} of ${length}${meshes.length < length ? `, of which ${meshes.length} are shown` : ""}. Dragging and arrow keys turn the mesh.`;
      } catch (error) {
        statusText.textContent = error.message;
      }
    };
    slider.addEventListener("input", show);
    show();
  }

  drawStills(stills) {
    const { make, find } = explorer;
    const box = find("stills");
    for (const still of stills) {
      if (!still.image && !still.map) continue;
      const picture = make("div", { className: "still" });
      if (still.image) picture.append(make("img", { src: still.image, alt: "The still" }));
      const map = still.map && make("img", { src: still.map, alt: "Where distortions were marked: brighter is more often", className: still.image ? "map" : "" });
      if (map) picture.append(map);
      box.append(make("h3", { text: "Saliency: bright where distortions were marked" }), picture);
      if (map && still.image) {
        const slider = make("input", { type: "range", min: 0, max: 100, value: 70, ariaLabel: "Strength of the saliency" });
        const set = () => (map.style.opacity = slider.value / 100);
        slider.addEventListener("input", set);
        set();
        box.append(make("label", { text: "Strength " }, slider));
      }
      if (still.fixations.length && still.width && still.height) {
        const canvas = make("canvas");
        picture.append(canvas);
        const draw = () => {
          const { pen, width, height } = explorer.plots.start(canvas);
          pen.strokeStyle = "#f0924b";
          pen.lineWidth = 1.5;
          for (let i = 0; i + 1 < still.fixations.length; i += 2) {
            pen.beginPath();
            pen.arc((still.fixations[i + 1] / still.width) * width, (still.fixations[i] / still.height) * height, 4, 0, 7);
            pen.stroke();
          }
        };
        new ResizeObserver(draw).observe(canvas);
        box.append(make("p", { className: "quiet", text: `Circles: ${still.fixations.length / 2} marks of annotators.` }));
      }
    }
  }

  facts(details) {
    const { make, find, format } = explorer;
    const parts = [];
    if (details.portrait) parts.push(make("h3", { text: "Portrait" }), make("img", { src: details.portrait, alt: "The portrait", className: "portrait" }));
    for (const name of ["distortions", "dimensions", "distortion_categories"]) {
      const column = this.rows.byName.get(name);
      if (!column) continue;
      const value = this.rows.value(column, this.row);
      parts.push(make("h3", { text: name.replaceAll("_", " ") }));
      if (value) parts.push(make("ul", { className: "tags" }, ...value.split(", ").map((text) => make("li", { text }))));
      else parts.push(make("p", { className: "quiet", text: value === null ? `null: ${this.rows.reason(column, this.row)}` : "none" }));
    }
    parts.push(...this.ratings(details.ratings));
    const body = make("tbody");
    for (const column of this.rows.columns) {
      if (column.name === "missing") continue;
      const value = this.rows.value(column, this.row);
      const cell = value === null ? make("td", { className: "null", text: `null: ${this.rows.reason(column, this.row)}` }) : make("td", { text: column.kind === "number" ? `${format(value)}${column.unit ? ` ${column.unit}` : ""}` : value || "none", title: column.kind === "number" ? String(value) : "" });
      body.append(make("tr", {}, make("td", { text: column.name, title: column.meaning }), cell));
    }
    for (const column of this.rows.hidden) {
      const value = details.texts[column.name];
      const cell = value === null || value === undefined ? make("td", { className: "null", text: `null: ${this.rows.reason(column, this.row)}` }) : make("td", { text: value });
      body.append(make("tr", {}, make("td", { text: column.name, title: column.meaning }), cell));
    }
    const missing = this.rows.byName.get("missing");
    const entries = missing ? this.rows.value(missing, this.row) : null;
    parts.push(make("h3", { text: "Why values are null" }));
    parts.push(make("ul", { className: "tags" }, ...(entries ? entries.split(", ") : ["no extractor lacks anything"]).map((text) => make("li", { text: String(format(text)) }))));
    if (details.notes.length) parts.push(make("h3", { text: "Not shown" }), make("ul", {}, ...details.notes.map((text) => make("li", { text }))));
    parts.push(make("h3", { text: "Values" }), make("table", { className: "values" }, body));
    find("facts").replaceChildren(...parts);
  }

  ratings(ratings) {
    const { make, format } = explorer;
    const parts = [];
    for (const dimension of [...new Set(ratings.map((r) => r[0]))]) {
      const own = ratings.filter((r) => r[0] === dimension);
      const scores = own.map((r) => r[2]).filter((s) => s !== null);
      const counts = new Map();
      const width = binWidth(scores);
      for (const score of scores) {
        const bin = Number((Math.floor(score / width + 1e-9) * width).toFixed(6));
        counts.set(bin, (counts.get(bin) || 0) + 1);
      }
      if (!scores.length) continue;
      const most = Math.max(...counts.values());
      const histogram = make("div", { className: "histogram" });
      const bins = [...counts.keys()];
      for (let place = Math.round(Math.max(...bins) / width); place >= Math.round(Math.min(...bins) / width); place--) {
        const bin = Number((place * width).toFixed(6));
        const count = counts.get(bin) || 0;
        const bar = make("i");
        bar.style.width = `${(100 * count) / most}%`;
        const range = width === 1 && Number.isInteger(bin) ? format(bin) : `${format(Number(bin.toFixed(6)))}–${format(Number((bin + width).toFixed(6)))}`;
        histogram.append(make("span", { text: range }), make("span", {}, bar), make("span", { text: String(count) }));
      }
      const body = make("tbody", {}, ...own.map((r) => make("tr", {}, ...[r[1], r[2], r[3], r[4] === null ? "" : [r[4]].flat().join(", ")].map((v) => make("td", { text: v === null ? "–" : String(format(v)) })))));
      const head = make("thead", {}, make("tr", {}, ...["subject", "score", "session", "distortions"].map((text) => make("th", { text }))));
      const list = make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, head, body));
      const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
      parts.push(
        make("h3", { text: `Ratings: ${dimension ?? "score"}` }),
        make("p", { className: "quiet", text: `${scores.length} ratings, mean of all of them ${format(mean)}` }),
        histogram,
        make("details", {}, make("summary", { text: "Each rating" }), list),
      );
    }
    return parts;

    function binWidth(scores) {
      const different = [...new Set(scores)];
      if (different.every(Number.isInteger) && different.length <= 12) return 1;
      const range = Math.max(...scores) - Math.min(...scores);
      return [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((w) => range / w <= 10) || range / 10;
    }
  }
};

explorer.Clip.BRIGHT = ["#56b4e9", "#f0a040", "#5fe0b5", "#f08cc8", "#f0e442", "#b9b0ff"];

/** Per-frame values of a track as arrays, and how many faces come before each frame. */
function unpacked(track) {
  const arrays = { ...track };
  for (const name of ["time", "face", "mesh", "pitch", "yaw", "roll", "openness", "loudness", "speech_probability", "speech"]) {
    arrays[name] = explorer.decode(track[name]);
  }
  if (arrays.face) {
    arrays.before = new Uint32Array(arrays.face.length);
    for (let i = 1; i < arrays.face.length; i++) arrays.before[i] = arrays.before[i - 1] + arrays.face[i - 1];
  }
  return arrays;
}

/** The frame of a track that is shown at a time in seconds; -1 if none is near. */
function frameAt(track, second) {
  const { time } = track;
  let [low, high] = [0, time.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (time[middle] <= second + 2e-3) low = middle;
    else high = middle - 1;
  }
  const step = time.length > 1 ? (time[time.length - 1] - time[0]) / (time.length - 1) : 1;
  return second + 2e-3 < time[0] || second - time[low] > Math.max(2 * step, 0.1) ? -1 : low;
}

/** Spans in which a track's clip has speech. */
function speech(track) {
  const spans = [];
  if (!track.speech) return spans;
  let from = null;
  for (let i = 0; i <= track.time.length; i++) {
    const on = i < track.time.length && track.speech[i] === 1;
    if (on && from === null) from = track.time[i];
    if (!on && from !== null) {
      spans.push([from, track.time[Math.min(i, track.time.length - 1)]]);
      from = null;
    }
  }
  return spans;
}

function drawBox(pen, px, py, points, colour, text) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k < points; k++) {
    left = Math.min(left, px(k));
    right = Math.max(right, px(k));
    top = Math.min(top, py(k));
    bottom = Math.max(bottom, py(k));
  }
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, top, right - left, bottom - top);
  pen.font = "12px system-ui, sans-serif";
  const width = pen.measureText(text).width + 8;
  const y = Math.max(16, top);
  pen.fillStyle = "#000c";
  pen.fillRect(left, y - 16, width, 16);
  pen.fillStyle = colour;
  pen.textAlign = "left";
  pen.fillText(text, left + 4, y - 4);
}

/** The head's right (red), down (green) and forward (blue) axes as they appear in the picture. */
function drawAxes(pen, x, y, length, pitch, yaw, roll) {
  if ([pitch, yaw, roll].some(Number.isNaN)) return;
  const [p, q, r] = [-pitch, yaw, roll].map((degrees) => (degrees * Math.PI) / 180);
  const upper = [Math.cos(q), -Math.sin(q) * Math.sin(p), -Math.sin(q) * Math.cos(p)];
  const lower = [0, Math.cos(p), -Math.sin(p)];
  const colours = ["#ff5c5c", "#4cff6a", "#5cb8ff"];
  const dashes = [[], [6, 3], [2, 2]];
  pen.lineWidth = 2.5;
  for (let k = 0; k < 3; k++) {
    const sign = k === 2 ? -1 : 1; // the face looks at the camera
    const dx = sign * (Math.cos(r) * upper[k] - Math.sin(r) * lower[k]);
    const dy = sign * (Math.sin(r) * upper[k] + Math.cos(r) * lower[k]);
    pen.strokeStyle = colours[k];
    pen.setLineDash(dashes[k]);
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + length * dx, y + length * dy);
    pen.stroke();
  }
  pen.setLineDash([]);
}

// The study's page. It shows the stage that the server reports for the participant, plays the clips, and
// sends each answer repeatedly until the server has stored it.
"use strict";

const MIN_SEEN = 0.95;
const STILL = { width: 1536, height: 512 };
const RETRY = 2000; // milliseconds

const main = document.getElementById("main");
const statusLine = document.getElementById("status");
const ahead = document.getElementById("ahead");
let study = null;
let texts = {};

// Small helpers

function translate(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function announce(text, alarm = false) {
  statusLine.textContent = text;
  statusLine.classList.toggle("alarm", alarm);
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svg(name, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function heading(text) {
  return element("h1", { textContent: text, tabIndex: -1 });
}

function button(key, action, isMain = false) {
  return element("button", { type: "button", textContent: translate(key), onclick: action, className: isMain ? "main" : "" });
}

function show(...children) {
  announce("");
  delete main.dataset.position;
  main.replaceChildren(...children);
  main.querySelector("h1")?.focus();
  window.scrollTo(0, 0);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Requests

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(path, { credentials: "same-origin", ...options });
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, content.error ?? response.statusText);
  return content;
}

// Repeats a request until the server answers, so that no answer is lost by a broken connection or a full disk.
async function persist(path, body) {
  for (;;) {
    try {
      const content = await request(path, body);
      announce("");
      return content;
    } catch (error) {
      if (error instanceof Refused && error.status < 500) throw error;
      announce(translate("not_saved"), true);
      await pause(RETRY);
    }
  }
}

async function act(path, body) {
  try {
    route(await persist(path, body));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    announce(error.message, true);
    if (error.status === 409) await refresh();
  }
}

async function refresh() {
  const state = await persist("api/state");
  study = state.study;
  route(state);
}

async function setLanguage(language) {
  texts = await persist(`texts/${language}.json`);
  document.documentElement.lang = language;
  localStorage.setItem("language", language);
}

// Stages

function route(state) {
  if (state.code) return showCode(state);
  const stages = {
    consent: showConsent, screen: showScreen, headphones: showHeadphones, start: showStart,
    wait: showWait, item: showItem, done: showDone,
  };
  stages[state.stage](state);
}

function paragraphs(text) {
  return text.split(/\n\s*\n/).filter((part) => part.trim()).map((part) => element("p", { textContent: part.trim() }));
}

function showConsent() {
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
  const choice = element("select", { id: "language" }, ...study.languages.map((code) =>
    element("option", { value: code, textContent: names.of(code), selected: code === document.documentElement.lang })));
  choice.onchange = async () => {
    await setLanguage(choice.value);
    showConsent();
  };
  const code = element("input", { type: "text", id: "code", autocomplete: "off", spellcheck: false });
  const resume = element("form", { className: "row" },
    element("label", { htmlFor: "code", textContent: translate("have_code") }), code,
    element("button", { type: "submit", textContent: translate("continue") }));
  resume.onsubmit = async (event) => {
    event.preventDefault();
    try {
      route(await persist("api/resume", { value: code.value }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      announce(translate("wrong_code"), true);
    }
  };
  show(
    heading(`${study.name}: ${translate("consent_title")}`),
    element("div", { className: "row" }, element("label", { htmlFor: "language", textContent: translate("language") }), choice),
    ...paragraphs(study.consent),
    element("div", { className: "row" },
      button("agree", () => act("api/join", { value: document.documentElement.lang }), true)),
    resume,
  );
}

function showCode(state) {
  show(
    heading(translate("code_title")),
    element("p", { className: "code", id: "own-code", textContent: state.code.match(/.{1,4}/g).join("-") }),
    element("p", { textContent: translate("code_text") }),
    element("div", { className: "row" }, button("continue", () => route({ ...state, code: null }), true)),
  );
}

function showScreen(state) {
  const size = { width: Math.round(screen.width), height: Math.round(screen.height) };
  if (!state.small) {
    act("api/screen", size);
    return;
  }
  show(
    heading(translate("screen_title")),
    element("p", {
      className: "notice",
      textContent: translate("screen_small", { ...size, least_width: study.screen.width, least_height: study.screen.height }),
    }),
    element("div", { className: "row" }, button("again", () => showScreen({}), true)),
  );
}

function showHeadphones(state) {
  const sound = new Audio(state.sound);
  const digits = element("input", { type: "text", id: "digits", inputMode: "numeric", autocomplete: "off", maxLength: 9, required: true });
  const form = element("form", { className: "row" },
    button("play_tones", () => { sound.currentTime = 0; sound.play(); }),
    element("label", { htmlFor: "digits", textContent: translate("digits") }), digits,
    element("button", { type: "submit", className: "main", textContent: translate("check") }));
  form.onsubmit = (event) => {
    event.preventDefault();
    sound.pause();
    act("api/headphones", { value: digits.value });
  };
  show(
    heading(translate("headphones_title")),
    element("p", { textContent: translate("headphones_text") }),
    state.failed ? element("p", { className: "notice", textContent: translate("headphones_wrong") }) : "",
    form,
  );
}

function showStart(state) {
  const { session, sessions, total } = state.progress;
  preload(state.preload);
  const title = session === 0 ? translate("training_title") : translate("session_title", { n: session, total: sessions });
  show(
    heading(title),
    ...paragraphs(study.instructions),
    element("p", { textContent: session === 0 ? translate("training_text") : translate("session_text", { n: total }) }),
    element("div", { className: "row" }, button("start", () => act("api/begin", {}), true)),
  );
}

function showWait(state) {
  const until = performance.now() + 1000 * state.seconds;
  const text = element("p", { id: "waiting" });
  show(heading(translate("wait_title")), text);
  const tick = async () => {
    if (!text.isConnected) return;
    const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    const time = hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${seconds} s` : `${seconds} s`;
    text.textContent = translate("wait_text", { time });
    if (left === 0) await refresh();
    else setTimeout(tick, 1000);
  };
  tick();
}

function showDone() {
  preload([]);
  show(heading(translate("done_title")), element("p", { textContent: translate("done_text") }));
}

// Clips

const loaded = new Map();

function clipOf(url) {
  if (!loaded.has(url)) {
    const video = element("video", {
      src: url, preload: "auto", playsInline: true, disablePictureInPicture: true, disableRemotePlayback: true,
    });
    video.oncontextmenu = () => false;
    ahead.append(video);
    loaded.set(url, video);
  }
  return loaded.get(url);
}

function preload(urls) {
  for (const url of loaded.keys()) {
    if (urls.includes(url)) continue;
    const video = loaded.get(url);
    video.removeAttribute("src");
    video.load();
    video.remove();
    loaded.delete(url);
  }
  urls.forEach(clipOf);
}

// Plays the clips of a presentation one after another and measures the share that was seen.
class Player {
  constructor(urls, onchange) {
    this.clips = urls.map((url, i) => urls.indexOf(url) === i ? clipOf(url) : clipOf(url).cloneNode());
    this.seen = urls.map(() => 0);
    this.plays = urls.map(() => 0);
    this.stalls = 0;
    this.stalled = 0;
    this.width = 0;
    this.problem = "";
    this.active = -1;
    this.onchange = onchange;
    this.controller = new AbortController();
    this.clips.forEach((video, number) => this.watch(video, number));
    document.addEventListener("visibilitychange", () => this.visibility(), { signal: this.controller.signal });
  }

  watch(video, number) {
    const on = (name, action) => video.addEventListener(name, action, { signal: this.controller.signal });
    let reached = 0;
    let waitingSince = null;
    const begun = () => this.plays[number] > 0;
    on("playing", () => {
      if (waitingSince !== null) this.stalled += (performance.now() - waitingSince) / 1000;
      waitingSince = null;
      if (!video.videoWidth) return this.fail("no_picture");
      this.width = video.videoWidth;
    });
    on("waiting", () => {
      if (!begun() || video.currentTime === 0 || waitingSince !== null) return;
      this.stalls += 1;
      waitingSince = performance.now();
    });
    on("timeupdate", () => {
      if (!video.seeking && video.currentTime <= reached + 1) reached = Math.max(reached, video.currentTime);
      this.measure(video, number);
    });
    on("seeking", () => {
      if (video.currentTime > reached + 0.3) video.currentTime = reached;
    });
    on("ratechange", () => {
      if (video.playbackRate !== 1) video.playbackRate = 1;
    });
    on("ended", () => {
      this.measure(video, number);
      if (this.seen[number] < MIN_SEEN) return this.replayFrom(number);
      if (number + 1 < this.clips.length) this.start(number + 1);
      else this.active = -1;
      this.onchange();
    });
    on("error", () => this.fail("broken"));
    if (video.played.length) video.load(); // it was shown before: measure anew
    if (video.error) this.problem = "broken";
  }

  measure(video, number) {
    let total = 0;
    for (let i = 0; i < video.played.length; i += 1) total += video.played.end(i) - video.played.start(i);
    if (video.duration > 0) this.seen[number] = Math.max(this.seen[number], Math.min(1, total / video.duration));
  }

  fail(problem) {
    this.problem = problem;
    this.clips.forEach((video) => video.pause());
    this.active = -1;
    this.onchange();
  }

  // Returns whether the browser allows the clip to play.
  async start(number = 0) {
    this.active = number;
    this.clips.forEach((video) => video.pause());
    const video = this.clips[number];
    video.currentTime = 0;
    try {
      await video.play();
      this.plays[number] += 1;
      this.onchange();
      return true;
    } catch {
      if (this.active === number && !this.problem) this.active = -1;
      this.onchange();
      return false;
    }
  }

  replayFrom(number) {
    this.start(number);
  }

  visibility() {
    const video = this.clips[this.active];
    if (!video) return;
    if (document.hidden) video.pause();
    else video.play().catch(() => { this.active = -1; this.onchange(); });
  }

  get complete() {
    return !this.problem && this.seen.every((share) => share >= MIN_SEEN) && this.clips.every((video) => video.videoWidth > 0);
  }

  report() {
    return { seen: this.seen, plays: this.plays, stalls: this.stalls, stalled: this.stalled, width: this.width };
  }

  close() {
    this.controller.abort();
    this.clips.forEach((video) => video.pause());
  }
}

// Questions: each has a name, an element, `answered()`, and `fill(answer)`, which writes its value into an answer.

function sliderQuestion(name, before, changed) {
  const input = element("input", {
    type: "range", min: study.low, max: study.high, step: 0.1, value: (study.low + study.high) / 2,
    id: `score-${name}`, className: "unset", "aria-valuetext": translate("unset"), "aria-label": translate(name),
  });
  const output = element("output", { htmlFor: input.id, textContent: translate("unset") });
  let value = null;
  const take = () => {
    value = Number(input.value);
    input.classList.remove("unset");
    input.setAttribute("aria-valuetext", value.toFixed(1));
    output.textContent = value.toFixed(1);
  };
  const set = () => {
    take();
    changed();
  };
  input.addEventListener("input", set);
  input.addEventListener("pointerup", set);
  input.addEventListener("keydown", (event) => {
    if (/^[0-9]$/.test(event.key) && Number(event.key) >= study.low && Number(event.key) <= study.high) {
      input.value = event.key;
      set();
      event.preventDefault();
    } else if (value === null && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault(); // the initial position is not a value to confirm
    }
  });
  if (before !== undefined && before !== null) {
    input.value = before;
    take();
  }
  const ticks = element("div", { className: "ticks", "aria-hidden": "true" });
  for (let tick = study.low; tick <= study.high; tick += 1) ticks.append(element("span", { textContent: tick }));
  return {
    name: translate(name),
    element: element("fieldset", {}, element("legend", { textContent: translate(name) }),
      element("div", { className: "slider" },
        element("span", { textContent: translate("acr_1") }), input, element("span", { textContent: translate("acr_5") }), ticks, output)),
    answered: () => value !== null,
    fill: (answer) => { answer.scores[name] = value; },
  };
}

function choiceQuestion(id, legend, options, before, changed, fill) {
  let value = before ?? null;
  const labels = options.map(([option, text]) => {
    const input = element("input", { type: "radio", name: id, value: option, checked: option === value });
    input.onchange = () => { value = option; changed(); };
    return element("label", {}, input, element("span", { textContent: text }));
  });
  return {
    name: legend,
    element: element("fieldset", {}, element("legend", { textContent: legend }), element("div", { className: "choices" }, ...labels)),
    answered: () => value !== null,
    fill: (answer) => fill(answer, value),
  };
}

function distortionQuestion(before, changed) {
  const boxes = study.distortions.map(({ id, name }) => [
    element("input", { type: "checkbox", value: id, checked: before?.includes(id) ?? false, onchange: changed }), name,
  ]);
  return {
    name: translate("distortions"),
    element: element("fieldset", {}, element("legend", { textContent: translate("distortions") }),
      element("div", { className: "choices" }, ...boxes.map(([box, name]) => element("label", {}, box, element("span", { textContent: name }))))),
    answered: () => true,
    fill: (answer) => { answer.distortions = boxes.map(([box]) => box).filter((box) => box.checked).map((box) => box.value); },
  };
}

function markQuestion(still, before, changed) {
  const marks = (before ?? []).map(([x, y]) => [x, y]);
  const cursor = [STILL.width / 2, STILL.height / 2];
  const picture = svg("svg", { viewBox: `0 0 ${STILL.width} ${STILL.height}`, tabindex: "0", role: "application", "aria-label": translate("marks") });
  const dots = svg("g");
  const crosses = [svg("path", { class: "cross" }), svg("path", { class: "cross" })];
  picture.append(svg("image", { href: still, width: STILL.width, height: STILL.height }), dots, ...crosses);
  const count = element("span", { role: "status" });
  const undo = button("undo", () => { marks.pop(); draw(); changed(); });
  const draw = () => {
    dots.replaceChildren(...marks.map(([x, y]) => svg("circle", { cx: x + 0.5, cy: y + 0.5, r: 6 })));
    const [x, y] = [cursor[0] + 0.5, cursor[1] + 0.5];
    const shown = document.activeElement === picture && picture.matches(":focus-visible");
    crosses.forEach((cross) => cross.setAttribute("d", shown ? `M${x - 16} ${y}h32M${x} ${y - 16}v32` : ""));
    count.textContent = translate("marks_count", { n: marks.length });
    undo.disabled = marks.length === 0;
  };
  const mark = (x, y) => { marks.push([x, y]); draw(); changed(); };
  const enabled = () => !picture.closest("fieldset").matches(":disabled");
  picture.addEventListener("click", (event) => {
    if (!enabled()) return;
    const box = picture.getBoundingClientRect();
    const place = (at, start, size, pixels) => Math.min(pixels - 1, Math.max(0, Math.floor((at - start) / size * pixels)));
    mark(place(event.clientX, box.left, box.width, STILL.width), place(event.clientY, box.top, box.height, STILL.height));
  });
  picture.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!enabled()) return;
    if (event.key in moves) {
      const step = event.shiftKey ? 64 : event.altKey ? 1 : 8;
      cursor[0] = Math.min(STILL.width - 1, Math.max(0, cursor[0] + step * moves[event.key][0]));
      cursor[1] = Math.min(STILL.height - 1, Math.max(0, cursor[1] + step * moves[event.key][1]));
    } else if (event.key === "Enter" || event.key === " ") {
      mark(...cursor);
    } else if (event.key === "Backspace" || event.key === "Delete") {
      marks.pop();
      changed();
    } else return;
    event.preventDefault();
    draw();
  });
  picture.addEventListener("focus", draw);
  picture.addEventListener("blur", draw);
  draw();
  return {
    name: translate("marks"),
    element: element("fieldset", {}, element("legend", { textContent: translate("marks") }),
      element("p", { className: "quiet", textContent: translate("marks_help") }),
      element("div", { className: "still" }, picture), element("div", { className: "row" }, undo, count)),
    answered: () => true,
    fill: (answer) => { answer.marks = marks; },
  };
}

function textQuestion(before, changed) {
  const area = element("textarea", { id: "text", maxLength: 2000, value: before ?? "", oninput: changed });
  return {
    name: translate("text"),
    element: element("fieldset", {}, element("legend", {}, element("label", { htmlFor: "text", textContent: translate("text") })), area),
    answered: () => true,
    fill: (answer) => { answer.text = area.value; },
  };
}

function questionsOf(item, changed) {
  const before = item.answer;
  if (study.kind === "pairwise") {
    const options = [["left", translate("choose_a")], ["right", translate("choose_b")]];
    return [choiceQuestion("choice", study.question, options, before?.choice, changed, (answer, value) => { answer.choice = value; })];
  }
  const made = study.dimensions.map((name) => {
    if (study.scale !== "acr5") return sliderQuestion(name, before?.scores[name], changed);
    const options = [5, 4, 3, 2, 1].map((value) => [value, translate(`acr_${value}`)]);
    return choiceQuestion(`score-${name}`, translate(name), options, before?.scores[name], changed, (answer, value) => { answer.scores[name] = value; });
  });
  if (study.distortions.length) made.push(distortionQuestion(before?.distortions, changed));
  if (study.ask.includes("marks") && item.still) made.push(markQuestion(item.still, before?.marks, changed));
  if (study.ask.includes("text")) made.push(textQuestion(before?.text, changed));
  return made;
}

// One presentation

let player = null;

function showItem(state) {
  player?.close();
  const { item, progress } = state;
  const again = item.answer !== null;
  preload([...new Set([...item.media, ...(state.preload ?? [])])]);
  const play = button("play", () => startClip());
  const form = element("form");
  const fields = element("fieldset", { disabled: !again, className: "answers" });
  const next = element("button", { type: "submit", className: "main", textContent: translate(again ? "save" : "next"), disabled: true });
  const hint = element("p", { className: "quiet", id: "hint" });
  const notice = element("p", { className: "notice", role: "alert", hidden: true });
  next.setAttribute("aria-describedby", "hint");
  let sending = false;
  const update = () => {
    const done = again || mine.complete;
    fields.disabled = !done || Boolean(mine.problem);
    const unanswered = questions.filter((question) => !question.answered());
    next.disabled = sending || fields.disabled || unanswered.length > 0;
    hint.textContent = !done ? translate("watch") : unanswered.length ? translate("missing", { names: unanswered.map(({ name }) => name).join(", ") }) : "";
    notice.hidden = !mine.problem;
    notice.textContent = mine.problem ? translate(mine.problem) : "";
    const started = mine.plays.some((n) => n > 0);
    play.textContent = translate(started || again ? "replay" : "play");
    play.disabled = mine.active >= 0 || mine.problem === "no_picture";
    figures.forEach((figure, number) => figure.classList.toggle("playing", number === mine.active));
    if (done && !announced) {
      announced = true;
      if (!again) announce(translate("rate_now"));
    }
  };
  let announced = again;
  const questions = questionsOf(item, () => update());
  const mine = new Player(item.media, () => update());
  player = mine;
  const captions = item.media.length === 2 ? [translate("a"), translate("b")] : [""];
  const figures = mine.clips.map((video, number) => element("figure", {}, video,
    captions[number] ? element("figcaption", { textContent: captions[number] }) : null));
  const startClip = async () => {
    if (mine.problem === "broken") {
      mine.problem = "";
      mine.clips.forEach((video) => video.load());
    }
    if (!again && !mine.plays.some((n) => n > 0)) {
      try {
        await persist("api/shown", { position: item.position });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return refresh();
      }
    }
    if (mine === player) await mine.start();
  };
  fields.append(...questions.map((question) => question.element));
  const trap = item.trap === null ? null : element("p", {
    className: "notice", id: "trap",
    textContent: typeof item.trap === "string" ? translate(`trap_${item.trap}`) : translate("trap_score", { value: item.trap }),
  });
  const back = item.first ? null : button("back", async () => route(await persist(`api/answer/${item.position - 1}`)));
  form.append(fields, element("div", { className: "row" }, back ?? "", hint, next));
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (next.disabled) return;
    const answer = { scores: {}, distortions: [], marks: [], text: "", choice: null };
    questions.forEach((question) => question.fill(answer));
    if (again && JSON.stringify(answer) === JSON.stringify(item.answer)) return refresh();
    sending = true;
    update();
    mine.clips.forEach((video) => video.pause());
    await act("api/vote", { position: item.position, revision: item.revision, answer, playback: mine.report() });
    sending = false;
  };
  const label = item.training ? translate("training") : translate("session_title", { n: progress?.session ?? "", total: progress?.sessions ?? "" });
  const bar = progress ? element("header", {},
    element("span", { textContent: label }),
    element("span", { textContent: translate("clip", { n: progress.done + 1, total: progress.total }) }),
    element("progress", { max: progress.total, value: progress.done, "aria-label": translate("clip", { n: progress.done + 1, total: progress.total }) })) : "";
  show(bar, heading(study.question), element("div", { className: "clips" }, ...figures),
    element("div", { className: "row" }, play), notice, trap ?? "", form);
  main.dataset.position = item.position;
  update();
  if (!again) startClip();
}

addEventListener("unhandledrejection", (event) => announce(String(event.reason), true));

(async () => {
  const state = await persist("api/state");
  study = state.study;
  const stored = localStorage.getItem("language");
  await setLanguage(study.languages.includes(stored) ? stored : study.language);
  route(state);
})();

// Plots on canvases: scatter, distributions by group, and curves.
"use strict";

explorer.plots = (() => {
  const { format } = explorer;
  const GROUPS = 8; // number of distinguishable colours and marks
  const MARKS = ["circle", "square", "triangle", "diamond", "cross", "plus", "down", "ring"];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const series = (index) => colour(`series-${index % GROUPS}`);

  /** A drawing context in CSS pixels, cleared, with its size. */
  function start(canvas) {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    return { pen, width, height };
  }

  /** Round numbers between two limits. */
  function ticks(low, high, most) {
    const rough = (high - low) / Math.max(1, most);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough) || 10 * power;
    const made = [];
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) made.push(Number((k * step).toPrecision(12)));
    return made;
  }

  function limits(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
    if (low > high) return null;
    const pad = 0.04 * (high - low) || Math.abs(low) * 0.05 || 0.5;
    return [low - pad, high + pad];
  }

  const scaled = ([low, high], from, to) => (v) => from + ((v - low) / (high - low)) * (to - from);

  function mark(pen, kind, x, y, r) {
    pen.beginPath();
    if (kind === "circle" || kind === "ring") pen.arc(x, y, r, 0, 7);
    else if (kind === "square") pen.rect(x - r, y - r, 2 * r, 2 * r);
    else if (kind === "triangle" || kind === "down") {
      const s = kind === "down" ? -1 : 1;
      pen.moveTo(x, y - s * r * 1.3);
      pen.lineTo(x + r * 1.2, y + s * r);
      pen.lineTo(x - r * 1.2, y + s * r);
      pen.closePath();
    } else if (kind === "diamond") {
      for (const [dx, dy] of [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]]) pen.lineTo(x + dx * r, y + dy * r);
      pen.closePath();
    } else {
      const d = kind === "cross" ? 1 : 0;
      pen.moveTo(x - r * 1.2, y - d * r * 1.2);
      pen.lineTo(x + r * 1.2, y + d * r * 1.2);
      pen.moveTo(x + d * r * 1.2, y - r * 1.2);
      pen.lineTo(x - d * r * 1.2, y + r * 1.2);
    }
    if (["cross", "plus", "ring"].includes(kind)) {
      pen.lineWidth = 1.6;
      pen.stroke();
    } else pen.fill();
  }

  /** The most frequent values of a text column among rows, and the group of each row; the last group holds all others. */
  function groups(rows, column, order, most) {
    if (!column) return { names: ["all"], of: () => 0 };
    const counts = new Map();
    for (const row of order) counts.set(column.codes[row], (counts.get(column.codes[row]) || 0) + 1);
    const chosen = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([code]) => code);
    const own = chosen.length > most ? chosen.slice(0, most - 1) : chosen;
    const places = new Map(own.map((code, i) => [code, i]));
    const names = own.map((code) => (code < 0 ? "null" : column.levels[code]));
    if (own.length < chosen.length) names.push(`${chosen.length - own.length} others`);
    return { names, of: (row) => places.get(column.codes[row]) ?? names.length - 1 };
  }

  function correlation(x, y) {
    const n = x.length;
    const mean = (v) => v.reduce((a, b) => a + b, 0) / n;
    const [mx, my] = [mean(x), mean(y)];
    let [xy, xx, yy] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      xy += (x[i] - mx) * (y[i] - my);
      xx += (x[i] - mx) ** 2;
      yy += (y[i] - my) ** 2;
    }
    return n >= 3 && xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
  }

  /** Ranks of values; ties share their mean rank. */
  function rank(values) {
    const order = Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b]);
    const ranks = new Float64Array(values.length);
    for (let i = 0; i < order.length; ) {
      let j = i;
      while (j + 1 < order.length && values[order[j + 1]] === values[order[i]]) j++;
      for (let k = i; k <= j; k++) ranks[order[k]] = (i + j) / 2;
      i = j + 1;
    }
    return ranks;
  }

  function frame(pen, box, x, y, xName, yName) {
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("quiet");
    pen.textAlign = "center";
    for (const v of ticks(...x.range, Math.max(2, (box.right - box.left) / 90))) {
      pen.beginPath();
      pen.moveTo(x(v), box.top);
      pen.lineTo(x(v), box.bottom);
      pen.stroke();
      pen.fillText(format(v), x(v), box.bottom + 16);
    }
    pen.textAlign = "right";
    if (y) {
      for (const v of ticks(...y.range, Math.max(2, (box.bottom - box.top) / 60))) {
        pen.beginPath();
        pen.moveTo(box.left, y(v));
        pen.lineTo(box.right, y(v));
        pen.stroke();
        pen.fillText(format(v), box.left - 6, y(v) + 4);
      }
    }
    pen.fillStyle = colour("ink");
    pen.textAlign = "center";
    pen.fillText(xName, (box.left + box.right) / 2, box.bottom + 34);
    if (yName) {
      pen.textAlign = "left";
      pen.fillText(yName, box.left, box.top - 8);
    }
  }

  function axis(values, from, to) {
    const range = limits(values);
    return range && Object.assign(scaled(range, from, to), { range });
  }

  /** Draw two columns against each other; returns the points, the correlations and the groups. */
  function scatter(canvas, rows, order, xColumn, yColumn, groupColumn, active) {
    const { pen, width, height } = start(canvas);
    const kept = order.filter((row) => !Number.isNaN(xColumn.values[row]) && !Number.isNaN(yColumn.values[row]));
    const box = { left: 62, right: width - 14, top: 24, bottom: height - 44 };
    const xs = kept.map((row) => xColumn.values[row]);
    const ys = kept.map((row) => yColumn.values[row]);
    const x = axis(xs, box.left, box.right);
    const y = axis(ys, box.bottom, box.top);
    const grouped = groups(rows, groupColumn, kept, GROUPS);
    if (!x) return { points: [], names: [], n: 0, plcc: null, srcc: null };
    frame(pen, box, x, y, label(xColumn), label(yColumn));
    const radius = kept.length > 2000 ? 2.2 : 3.5;
    pen.globalAlpha = kept.length > 500 ? 0.65 : 0.9;
    const colours = grouped.names.map((_, i) => series(i));
    const points = kept.map((row, i) => ({ row, x: x(xs[i]), y: y(ys[i]) }));
    for (const point of points) {
      const group = grouped.of(point.row);
      pen.fillStyle = pen.strokeStyle = colours[group];
      mark(pen, MARKS[group], point.x, point.y, radius);
    }
    pen.globalAlpha = 1;
    const chosen = points.find((point) => point.row === active);
    if (chosen) {
      pen.strokeStyle = colour("ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(chosen.x, chosen.y, 8, 0, 7);
      pen.stroke();
    }
    return { points, names: grouped.names, n: kept.length, plcc: correlation(xs, ys), srcc: correlation(rank(xs), rank(ys)) };
  }

  const label = (column) => (column.unit ? `${column.name} (${column.unit})` : column.name);

  function quantile(sorted, q) {
    const at = (sorted.length - 1) * q;
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  }

  /** Draw boxes and points of a column by group, the highest median on top; returns the number of values. */
  function distribution(canvas, rows, order, column, groupColumn) {
    const most = 24;
    const kept = order.filter((row) => !Number.isNaN(column.values[row]));
    const grouped = groups(rows, groupColumn, kept, most);
    const values = grouped.names.map(() => []);
    for (const row of kept) values[grouped.of(row)].push(column.values[row]);
    const lines = grouped.names
      .map((name, i) => ({ name, values: values[i].sort((a, b) => a - b) }))
      .filter((line) => line.values.length)
      .sort((a, b) => quantile(b.values, 0.5) - quantile(a.values, 0.5));
    canvas.style.height = `${Math.max(1, lines.length) * 34 + 64}px`;
    const { pen, width, height } = start(canvas);
    if (!lines.length) return { n: 0, lines: [] };
    const left = Math.min(width * 0.38, Math.max(...lines.map((l) => pen.measureText(`${l.name} (${l.values.length})`).width)) + 14);
    const box = { left, right: width - 14, top: 8, bottom: height - 44 };
    const x = axis(kept.map((row) => column.values[row]), box.left + 6, box.right);
    frame(pen, box, x, null, label(column));
    lines.forEach((line, i) => {
      const y = box.top + 34 * i + 17;
      pen.fillStyle = colour("ink");
      pen.textAlign = "right";
      pen.fillText(shortened(pen, `${line.name} (${line.values.length})`, left - 8), left - 6, y + 4);
      pen.fillStyle = colour("quiet");
      pen.globalAlpha = line.values.length > 200 ? 0.2 : 0.55;
      line.values.forEach((v, k) => {
        pen.beginPath();
        pen.arc(x(v), y + 9 * (((k * 0.618034) % 1) - 0.5) * 2, 1.6, 0, 7);
        pen.fill();
      });
      pen.globalAlpha = 1;
      const [low, q1, median, q3, high] = [0.05, 0.25, 0.5, 0.75, 0.95].map((q) => x(quantile(line.values, q)));
      pen.strokeStyle = colour("kept");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(low, y);
      pen.lineTo(q1, y);
      pen.moveTo(q3, y);
      pen.lineTo(high, y);
      pen.stroke();
      pen.strokeRect(q1, y - 9, Math.max(1, q3 - q1), 18);
      pen.strokeStyle = colour("rejected");
      pen.lineWidth = 3;
      pen.beginPath();
      pen.moveTo(median, y - 9);
      pen.lineTo(median, y + 9);
      pen.stroke();
    });
    return { n: kept.length, lines: lines.map((l) => ({ name: l.name, n: l.values.length, median: quantile(l.values, 0.5) })) };
  }

  function shortened(pen, text, width) {
    if (pen.measureText(text).width <= width) return text;
    let end = text.length;
    while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > width) end--;
    return `${text.slice(0, end)}…`;
  }

  /**
   * Draw curves over time with a cursor.
   * @param {{lines: {times, values, series, dash}[], spans: [number, number][], begin: number, end: number, range, unit}} content
   */
  function curves(canvas, content, cursor) {
    const { pen, width, height } = start(canvas);
    const box = { left: 44, right: width - 8, top: 6, bottom: height - 20 };
    const x = Object.assign(scaled([content.begin, content.end], box.left, box.right), { range: [content.begin, content.end] });
    const range = content.range || limits(content.lines.flatMap((line) => Array.from(line.values).filter((v) => !Number.isNaN(v))));
    pen.fillStyle = colour("speech");
    for (const [from, to] of content.spans) pen.fillRect(x(from), box.top, Math.max(1, x(to) - x(from)), box.bottom - box.top);
    pen.fillStyle = colour("quiet");
    pen.textAlign = "center";
    for (const v of ticks(content.begin, content.end, Math.max(2, width / 90))) pen.fillText(`${format(v)} ${content.unit ?? "s"}`.trim(), x(v), height - 5);
    if (range) {
      const y = scaled(range, box.bottom, box.top);
      pen.textAlign = "right";
      for (const v of ticks(...range, 3)) {
        pen.fillText(format(v), box.left - 5, y(v) + 4);
        pen.strokeStyle = colour("line");
        pen.beginPath();
        pen.moveTo(box.left, y(v));
        pen.lineTo(box.right, y(v));
        pen.stroke();
      }
      for (const line of content.lines) {
        pen.strokeStyle = series(line.series);
        pen.lineWidth = 1.4;
        pen.setLineDash(line.dash || []);
        pen.beginPath();
        let open = false;
        for (let i = 0; i < line.times.length; i++) {
          if (Number.isNaN(line.values[i])) open = false;
          else {
            if (open) pen.lineTo(x(line.times[i]), y(line.values[i]));
            else pen.moveTo(x(line.times[i]), y(line.values[i]));
            open = true;
          }
        }
        pen.stroke();
      }
      pen.setLineDash([]);
    }
    const at = x(Math.min(content.end, Math.max(content.begin, cursor)));
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(at, box.top);
    pen.lineTo(at, box.bottom);
    pen.stroke();
    return (pixel) => content.begin + ((pixel - box.left) / (box.right - box.left)) * (content.end - content.begin);
  }

  /** A mark of the legend as an SVG element. */
  function legendMark(index) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 32;
    canvas.style.width = canvas.style.height = "16px";
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    pen.fillStyle = pen.strokeStyle = series(index);
    mark(pen, MARKS[index % GROUPS], 8, 8, 4.5);
    return canvas;
  }

  return { scatter, distribution, curves, legendMark, series, start, colour };
})();

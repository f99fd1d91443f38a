// Every complete trial as a line across its parameters to its score, on a canvas, which draws
// thousands at once. Dragging along an axis keeps the trials in that range.
const parallel = (() => {
  const canvas = document.getElementById("parallel-axes");
  const [TOP, BOTTOM, SIDE, HEIGHT, NARROWEST, REACH] = [44, 14, 16, 380, 84, 20];
  const complete = all.number.map((_, i) => i).filter(i => all.values[0][i] !== null);
  const axes = makeAxes();
  if (!canvas || complete.length < 2 || axes.length < 2) {
    if (canvas) document.getElementById("parallel-box").hidden = true;
    return { test: () => () => true, draw() {}, highlight() {}, clear() {} };
  }
  // What is drawn, without the line that the mouse is at.
  const drawn = document.createElement("canvas");
  let kept = new Set(complete), width = 0;

  function makeAxes() {
    const parameters = all.parameters.map((each, k) => makeAxis(each.label, all.params[k], each.log, each.choices));
    const scores = all.objectives.map(({ name, lower }, k) => ({ ...makeAxis(name, all.values[k], false, []), lower, score: true }));
    return [...parameters, ...scores].filter(axis => axis.ticks.length);
  }

  // An axis: where a trial lies from 0 to 1, and what to write where.
  function makeAxis(label, values, log, choices) {
    const present = complete.map(i => values[i]).filter(value => value !== null);
    if (choices.length) {
      const names = choices.filter(choice => present.some(value => few(value) === choice || String(value) === choice));
      const place = value => names.length > 1 ? names.findIndex(name => name === few(value) || name === String(value)) / (names.length - 1) : 0.5;
      return { label, place: i => values[i] === null ? null : place(values[i]), ticks: names.map(name => [place(name), name]) };
    }
    const numeric = present.filter(value => typeof value === "number");
    if (!numeric.length) return { label, place: () => null, ticks: [] };
    const scale = log && Math.min(...numeric) > 0 ? Math.log10 : value => value;
    const low = scale(Math.min(...numeric)), high = scale(Math.max(...numeric));
    const place = value => high > low ? (scale(value) - low) / (high - low) : 0.5;
    const inside = value => place(value) >= -1e-9 && place(value) <= 1 + 1e-9;
    let marks = high > low ? scale === Math.log10 ? powers(low, high).filter(inside) : roundSteps(low, high) : [numeric[0]];
    if (marks.length < 2 && high > low) marks = [Math.min(...numeric), Math.max(...numeric)];
    return { label, place: i => typeof values[i] === "number" ? place(values[i]) : null, ticks: marks.map(value => [place(value), few(value)]) };
  }

  function powers(low, high) {
    const digitsOf = high - low > 2.5 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 5], found = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power++) for (const digit of digitsOf) found.push(+`${digit}e${power}`);
    return found;
  }

  const x = k => SIDE + k * (width - 2 * SIDE - 46) / (axes.length - 1);
  const y = place => HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM);
  // Scores to shades by rank, so that one outlier does not take them all.
  const lower = all.objectives[0].lower;
  const ranked = [...complete].sort((a, b) => (all.values[0][a] - all.values[0][b]) * (lower ? -1 : 1));
  const shade = new Map(ranked.map((i, place) => [i, place / Math.max(1, ranked.length - 1)]));

  function draw(now) {
    if (now) kept = now;
    const box = canvas.parentElement;
    // `page` is the width of a sheet of paper, on which pixels are finer.
    const onPaper = document.documentElement.classList.contains("print");
    const free = onPaper ? page : box.clientWidth, scale = onPaper ? 3 : window.devicePixelRatio || 1;
    width = Math.max(free, axes.length * NARROWEST);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${HEIGHT}px`;
    canvas.width = width * scale;
    canvas.height = HEIGHT * scale;
    const pen = penOf(canvas, scale), [ink, soft, paper, good, weak] = colour("--ink", "--soft", "--paper", "--accent", "--heat");
    const line = (...look) => drawLine(pen, ...look);
    const inBrush = ranked.filter(i => kept.has(i)), narrowed = inBrush.length < ranked.length;
    if (narrowed) for (const i of ranked) if (!kept.has(i)) line(i, soft, 0.7, Math.max(0.03, Math.min(0.16, 20 / ranked.length)));
    const faint = Math.max(0.12, Math.min(0.75, 60 / Math.max(1, inBrush.length)));
    for (const i of inBrush) {
      const at = shade.get(i), best = at > 0.9;
      line(i, best ? good : at > 0.5 ? weak : soft, best ? 1.8 : 1, best ? Math.max(0.5, faint) : at > 0.5 ? faint : faint * 0.55);
    }
    pen.globalAlpha = 1;
    axes.forEach((axis, k) => {
      pen.strokeStyle = axis.score ? ink : soft;
      pen.lineWidth = axis.score ? 1.6 : 1;
      pen.beginPath();
      pen.moveTo(x(k), y(0));
      pen.lineTo(x(k), y(1));
      pen.stroke();
      pen.font = "11px system-ui, sans-serif";
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      pen.lineWidth = 3.5;
      pen.strokeStyle = paper;
      for (const [place, text] of axis.ticks) {
        const short = text.length > 14 ? `${text.slice(0, 13)}…` : text;
        pen.strokeText(short, x(k) + 5, y(place));
        pen.fillStyle = soft;
        pen.fillText(short, x(k) + 5, y(place));
      }
      pen.font = `${axis.score ? "600 " : ""}12px system-ui, sans-serif`;
      pen.fillStyle = ink;
      pen.textAlign = k ? "center" : "left";
      pen.fillText(axis.label, k ? x(k) : 2, 14 + (k % 2 && axes.length > 7 ? 15 : 0));
      if (axis.brush) {
        const [a, b] = axis.brush;
        pen.fillStyle = good;
        pen.globalAlpha = 0.22;
        pen.fillRect(x(k) - 8, y(b), 16, y(a) - y(b));
        pen.globalAlpha = 1;
        pen.strokeStyle = good;
        pen.lineWidth = 1.2;
        pen.strokeRect(x(k) - 8, y(b), 16, y(a) - y(b));
      }
    });
    drawn.width = canvas.width;
    drawn.height = canvas.height;
    drawn.getContext("2d").drawImage(canvas, 0, 0);
  }

  // The line of one trial over all others, or nothing.
  function highlight(i) {
    const pen = penOf(canvas, 1);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(drawn, 0, 0);
    if (i !== null && all.values[0][i] !== null) drawLine(penOf(canvas, canvas.width / width), i, colour("--ink")[0], 3, 1);
  }

  function penOf(canvas, scale) {
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.lineJoin = "round";
    pen.globalAlpha = 1;
    return pen;
  }

  function colour(...names) {
    const style = getComputedStyle(document.documentElement);
    return names.map(name => style.getPropertyValue(name).trim());
  }

  function drawLine(pen, i, colour, thickness, opacity) {
    pen.strokeStyle = colour;
    pen.lineWidth = thickness;
    pen.globalAlpha = opacity;
    pen.beginPath();
    let last = -2;
    axes.forEach((axis, k) => {
      const place = axis.place(i);
      // A parameter that this trial does not have leaves a gap.
      if (place === null) return;
      if (last === k - 1) pen.lineTo(x(k), y(place)); else pen.moveTo(x(k), y(place));
      last = k;
    });
    pen.stroke();
    pen.globalAlpha = 1;
  }

  const at = event => {
    const box = canvas.getBoundingClientRect(), across = event.clientX - box.left, up = event.clientY - box.top;
    const k = axes.reduce((best, _, each) => Math.abs(x(each) - across) < Math.abs(x(best) - across) ? each : best, 0);
    const place = (HEIGHT - BOTTOM - up) / (HEIGHT - TOP - BOTTOM);
    return { axis: Math.abs(x(k) - across) <= REACH ? axes[k] : null, place: Math.max(-0.02, Math.min(1.02, place)) };
  };
  let dragged = null, waiting = false;
  canvas.addEventListener("pointerdown", event => {
    const { axis, place } = at(event);
    if (!axis) return;
    dragged = { axis, from: place };
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", event => {
    if (!dragged) return;
    const { place } = at(event);
    dragged.axis.brush = [Math.min(dragged.from, place), Math.max(dragged.from, place)];
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  });
  const end = event => {
    if (!dragged) return;
    const { brush } = dragged.axis;
    // A click without a drag takes the range away.
    if (brush && Math.abs(at(event).place - dragged.from) < 0.015) dragged.axis.brush = null;
    dragged = null;
    update();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  // A finger at an axis brushes, anywhere else it scrolls the page.
  canvas.addEventListener("touchstart", event => {
    const [finger] = event.touches;
    if (event.touches.length === 1 && at(finger).axis) event.preventDefault();
  }, { passive: false });
  addEventListener("resize", () => draw());
  addEventListener("beforeprint", () => draw());
  addEventListener("afterprint", () => draw());
  dark.addEventListener("change", () => draw());

  return {
    draw,
    highlight,
    clear() { for (const axis of axes) axis.brush = null; },
    // Whether a trial is inside all ranges; one without a score or a parameter is not.
    test() {
      const brushed = axes.filter(axis => axis.brush);
      return i => brushed.every(({ place, brush: [low, high] }) => {
        const found = place(i);
        return found !== null && found >= low && found <= high;
      });
    },
  };
})();

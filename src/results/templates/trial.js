// One trial in full: its parameters, curves, confusions, command, config and log.
all.place = new Map(all.number.map((number, i) => [number, i]));
const dialog = document.getElementById("trial");

function h(tag, attributes = {}, ...children) {
  const made = document.createElementNS(
    ["svg", "path", "line", "text", "circle", "title"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag,
  );
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== false));
  return made;
}

const digits = value => Math.abs(value) < 10 ? value.toFixed(4) : value.toFixed(1);
const few = value => typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(3)) : String(value ?? "");
const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
const clock = seconds => {
  const s = Math.round(seconds), m = Math.floor(s / 60), hours = Math.floor(m / 60);
  if (hours) return `${hours} h ${String(m % 60).padStart(2, "0")} min`;
  return m ? `${m} min ${String(s % 60).padStart(2, "0")} s` : `${seconds < 10 ? seconds.toFixed(1) : s} s`;
};

// The mean of some curves as far as all of them go; null where one of them has no number.
const meanCurve = curves => {
  const length = Math.min(...curves.map(curve => curve.length));
  return Array.from({ length }, (_, epoch) => {
    const values = curves.map(curve => curve[epoch]);
    return values.includes(null) ? null : mean(values);
  });
};

// Round steps from low to high, about five of them.
function roundSteps(low, high) {
  const rough = (high - low || Math.abs(high) || 1) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(6));
  return found;
}

const isNumber = value => typeof value === "number";

// Curves over epochs, with gaps where there is no number; each kind has a colour, thin lines for the folds and a thick one for their mean.
function chart(title, kinds) {
  const shown = kinds.map(kind => ({ ...kind, curves: kind.curves.filter(curve => curve.some(isNumber)) })).filter(kind => kind.curves.length);
  if (!shown.length) return null;
  const every = shown.flatMap(kind => kind.curves), values = every.flat().filter(isNumber);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low || 0.02) * 0.06;
  const epochs = Math.max(...every.map(curve => curve.length));
  const [left, right, top, bottom, width, height] = [44, 8, 8, 26, 400, 210];
  const x = epoch => left + (epochs > 1 ? epoch / (epochs - 1) : 0.5) * (width - left - right);
  const y = value => height - bottom - (value - low + room) / (high - low + 2 * room || 1) * (height - top - bottom);
  const svg = h("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const value of roundSteps(low, high)) {
    svg.append(h("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(h("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, few(value)));
  }
  const every_nth = Math.ceil(epochs / 10);
  for (let epoch = 0; epoch < epochs; epoch += every_nth) {
    svg.append(h("text", { x: x(epoch), y: height - 8, "text-anchor": "middle" }, String(epoch + 1)));
  }
  const line = (curve, look, label) => {
    const points = curve.map((value, i) => isNumber(value) ? `${isNumber(curve[i - 1]) ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}` : "");
    const path = h("path", { class: look, d: points.join("") });
    path.append(h("title", {}, label));
    svg.append(path);
    // A point alone has no line.
    curve.forEach((value, i) => {
      if (isNumber(value) && !isNumber(curve[i - 1]) && !isNumber(curve[i + 1])) svg.append(h("circle", { class: look, cx: x(i), cy: y(value), r: 2.5 }));
    });
  };
  for (const { look, name, curves } of shown) {
    if (curves.length > 1) curves.forEach((curve, fold) => line(curve, `fold ${look}`, `${name}, fold ${fold + 1}`));
    line(meanCurve(curves), `mean ${look}`, name);
  }
  const legend = shown.length > 1 ? shown.flatMap(({ look, name }) => [h("i", { class: look }), name]) : [];
  return h("figure", { class: "chart" }, h("figcaption", {}, h("b", {}, title), ...legend), svg);
}

// The same two charts for the best trial on the page and for any trial in its dialog.
function curvesOf(trial) {
  const losses = trial.losses || {};
  return [
    chart(`${all.objectives[0].name} after each epoch, by fold`, [{ look: "a", name: all.objectives[0].name, curves: trial.curves || [] }]),
    trial.estimates ? chart(`${all.objectives[0].name} estimated so far, over all folds`, [{ look: "a", name: "estimate", curves: [trial.estimates] }]) : null,
    chart("loss after each epoch", [
      { look: "b", name: "training", curves: losses.train || [] },
      { look: "a", name: "validation", curves: losses.val || [] },
    ]),
  ].filter(Boolean);
}

function confusions(sparse, classes) {
  const size = classes.length, matrix = classes.map(() => new Array(size).fill(0));
  for (let i = 0; i < sparse.length; i += 2) matrix[Math.floor(sparse[i] / size)][sparse[i] % size] = sparse[i + 1];
  const of_true = matrix.map(row => row.reduce((a, b) => a + b, 0));
  const of_predicted = classes.map((_, j) => matrix.reduce((sum, row) => sum + row[j], 0));
  const scored = classes
    .map((name, i) => ({ name, images: of_true[i], f1: of_true[i] + of_predicted[i] ? 2 * matrix[i][i] / (of_true[i] + of_predicted[i]) : null }))
    .filter(each => each.f1 !== null).sort((a, b) => a.f1 - b.f1);
  const table = h("table", { class: "f1" }, h("tr", {}, h("th", {}, "class"), h("th", {}), h("th", {}, "F1"), h("th", {}, "images")));
  for (const { name, images, f1 } of scored) {
    table.append(h("tr", {}, h("td", {}, name), h("td", {}, h("span", { style: `width: ${100 * f1}%` })), h("td", {}, f1.toFixed(3)), h("td", {}, String(images))));
  }
  const pairs = [];
  matrix.forEach((row, i) => row.forEach((count, j) => { if (i !== j && count) pairs.push([count, i, j]); }));
  pairs.sort((a, b) => b[0] - a[0]);
  const worst = h("table", {}, h("tr", {}, h("th", {}, "true"), h("th", { class: "words" }, "taken for"), h("th", {}, "times"), h("th", {}, "of them")));
  for (const [count, i, j] of pairs.slice(0, 12)) {
    worst.append(h("tr", {}, h("td", {}, classes[i]), h("td", { class: "words" }, classes[j]), h("td", {}, String(count)), h("td", {}, `${Math.round(100 * count / of_true[i])} %`)));
  }
  const found = [h("div", { class: "scroll" }, table), h("div", { class: "scroll" }, pairs.length ? worst : "Nothing was confused.")];
  // More would not be readable; the list above has what matters of them.
  if (size <= 30) {
    const grid = h("table", { class: "matrix" });
    matrix.forEach((row, i) => grid.append(h("tr", {}, h("th", { class: "row", title: classes[i] }, classes[i]), ...row.map((count, j) => {
      const share = of_true[i] ? count / of_true[i] : 0;
      return h("td", { class: share > 0.5 ? "much" : null, style: `--share: ${Math.round(100 * share)}%`, title: `${classes[i]} taken for ${classes[j]}: ${count}` }, count ? String(count) : "");
    }))));
    found.push(h("div", { class: "scroll" }, h("p", { class: "soft" }, "true, by row; predicted, in the same order by column"), grid));
  }
  return found;
}

const column = number => all.place.get(number) ?? -1;

// A trial for the mouse, written once for all of its points; plotly reads tags in it.
const hovers = new Map();
function hover(number) {
  if (!hovers.has(number)) hovers.set(number, describe(column(number), number));
  return hovers.get(number);
}
function describe(i, number) {
  const safe = text => String(text).replace(/[&<>]/g, sign => `&#${sign.charCodeAt()};`);
  if (i < 0) return "";
  const scores = all.values.map(values => values[i]).filter(value => value !== null).map(digits).join(", ");
  return [`<b>trial ${number}</b> ${scores}`, ...all.parameters.map(({ key }, k) => all.params[k][i] === null ? null : `${safe(key)} = ${safe(few(all.params[k][i]))}`)].filter(line => line !== null).join("<br>");
}

function configOf(trial, base) {
  if (!trial.config) return null;
  const lines = Array.isArray(trial.config) ? trial.config : base.map((line, i) => trial.config[i] ?? line);
  return lines.join("\n");
}

async function openTrial(number) {
  const i = column(number);
  if (i < 0) return;
  const data = await trialsInFull(), trial = data.trials[number] || { facts: {} };
  const defaults = all.defaults === null ? -1 : column(all.defaults);
  const value = all.values[0][i] ?? all.estimate[i];
  const order = shownTrials(), at = order.indexOf(i);
  const beside = (step, word, sign) => h("button", { type: "button", "aria-label": word, title: word, disabled: at < 0 || !(at + step in order), onclick: () => openTrial(all.number[order[at + step]]) }, sign);
  const parameters = all.parameters.map((each, k) => [each, all.params[k][i], defaults < 0 ? null : all.params[k][defaults]]).filter(([, own]) => own !== null);
  const told = [...all.objectives.map((objective, k) => [objective.name, all.values[k][i] === null ? null : digits(all.values[k][i])]),
    ["estimated when it ended", all.values[0][i] === null && value !== null ? digits(value) : null],
    ["folds", trial.folds ? trial.folds.map(fold => fold.toFixed(3)).join(", ") : null],
    ["time", all.seconds[i] === null ? null : clock(all.seconds[i])], ["epochs", all.epochs[i] || null],
    ["worker", all.worker[i]], ["memory of the card", all.memory[i] === null ? null : `${all.memory[i]} GB at most`],
    ...Object.entries(trial.facts)];
  const config = configOf(trial, data.config), charts = curvesOf(trial);
  const copied = h("pre", {}, trial.command || "");
  const parts = [
    h("header", {},
      h("h2", { id: "trial-title", tabindex: -1 }, `Trial ${number} `, h("span", { class: "soft" }, all.state[i] + (all.number[i] === all.defaults ? ", the defaults" : "") + (number === all.chosen ? ", to train with" : ""))),
      h("nav", { "aria-label": "Trials" }, beside(-1, "The trial above in the table", "↑"), beside(1, "The trial below in the table", "↓"), h("button", { type: "button", onclick: () => dialog.close() }, "Close"))),
    trial.error ? h("p", { class: "error" }, trial.error) : null,
    h("ul", { class: "params" }, ...parameters.map(([each, own, other]) => h("li", { title: each.key }, h("span", {}, each.label), h("b", {}, few(own)), other !== null && other !== own ? h("span", {}, ` defaults ${few(other)}`) : null))),
    h("div", { class: "facts" }, ...told.filter(([, text]) => text !== null && text !== undefined).map(([name, text]) => h("span", {}, h("span", {}, name), String(text)))),
    trial.command ? h("p", { class: "label" }, "Train in full with it") : null,
    trial.command ? h("div", { class: "command" }, copied, h("button", { type: "button", onclick: event => copyFrom(copied, event.target) }, "Copy")) : null,
    charts.length ? h("h3", {}, "Curves") : null,
    charts.length ? h("div", { class: "charts" }, ...charts) : null,
    trial.losses ? h("p", { class: "soft" }, document.getElementById("about-losses").content.textContent) : null,
    trial.confusion ? h("h3", {}, "By class, the worst first, on the images that each fold held out") : null,
    trial.confusion ? h("div", { class: "classes" }, ...confusions(trial.confusion, data.classes)) : null,
    trial.log ? h("h3", {}, "Log") : null,
    trial.log ? h("pre", { class: "long" }, trial.log) : null,
    config ? h("details", {}, h("summary", {}, "The whole config"), h("pre", { class: "long" }, config)) : null,
    config || trial.log ? null : h("p", { class: "soft" }, `Its config and log are in ${data.folder}/${number}, where it ran.`),
  ];
  dialog.replaceChildren(...parts.filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("h2").focus();
  history.replaceState(null, "", `#trial-${number}`);
}

async function copyFrom(place, button) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(place);
  }
}

// The page shows those of the trial to train with at once.
const chosenCurves = document.getElementById("chosen-curves");
if (chosenCurves) chosenCurves.append(...curvesOf(all.in_full));

if (dialog) {
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  const follow = () => { const found = location.hash.match(/^#trial-(\d+)$/); if (found) openTrial(+found[1]); };
  addEventListener("hashchange", follow);
  addEventListener("load", follow);
}

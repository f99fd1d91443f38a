// Draws each plot when it comes near the screen, so that a page of thousands of trials opens at once.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function colours(figure) {
  const style = getComputedStyle(document.documentElement);
  const soft = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
  const found = {
    "font.color": soft,
    "xaxis.gridcolor": line, "yaxis.gridcolor": line, "xaxis.linecolor": line, "yaxis.linecolor": line,
    "hoverlabel.bgcolor": style.getPropertyValue("--card").trim(),
    "hoverlabel.bordercolor": line,
    "hoverlabel.font.color": style.getPropertyValue("--ink").trim(),
  };
  const paper = style.getPropertyValue("--paper").trim();
  (figure.layout.annotations || []).forEach((_, i) => { found[`annotations[${i}].bgcolor`] = paper; });
  return found;
}

// Heat maps go from the paper to blue; opaque, or plotly would write black on black.
function recolour(place) {
  const style = getComputedStyle(document.documentElement);
  const [card, mid, full] = ["--card", "--heat", "--heat-full"].map(name => style.getPropertyValue(name).trim());
  plots[place.id].data.forEach((trace, i) => {
    if (trace.meta?.kind === "shares") Plotly.restyle(place, { colorscale: [[[0, card], [0.5, mid], [1, full]]] }, [i]);
  });
  return Plotly.relayout(place, colours(plots[place.id]));
}

function draw(place) {
  const figure = plots[place.id];
  if (place.dataset.drawn) return place.drawing;
  place.dataset.drawn = "begun";
  for (const trace of figure.data) {
    if (trace.meta?.kind === "shares") {
      const names = trace.meta.names;
      trace.hovertext = trace.z.map((row, i) => row.map((share, j) =>
        `${names[i]}<br>taken for ${names[j]}: ${trace.text[i][j] || 0} (${(100 * share).toFixed(1)} %)`));
      trace.hovertemplate = "%{hovertext}<extra></extra>";
    }
    if (trace.meta !== "trials") continue;
    trace.hovertext = trace.customdata.map(hover);
    trace.hovertemplate = "%{hovertext}<extra></extra>";
  }
  const options = { responsive: true, displaylogo: false, displayModeBar: false };
  return place.drawing = plotly()
    .then(() => Plotly.newPlot(place, figure.data, figure.layout, options))
    .then(() => recolour(place))
    .then(() => {
      place.dataset.drawn = "done";
      place.on("plotly_click", ({ points: [point] }) => {
        if (point.data.meta === "trials") openTrial(point.customdata);
      });
    })
    .catch(error => { place.textContent = error.message; });
}

const places = [...document.querySelectorAll(".plot")];
const seen = new IntersectionObserver(
  entries => entries.filter(entry => entry.isIntersecting).forEach(entry => draw(entry.target)),
  { rootMargin: "600px" },
);
places.forEach(place => seen.observe(place));
// A page of paper is narrower than most screens and does not scroll: plots are drawn for its
// width, and those that need more are made smaller as a whole.
const page = 670;

function width(place, paper) {
  if (!paper) {
    place.style.width = place.style.zoom = "";
    return Plotly.relayout(place, { autosize: true, width: null }).then(() => Plotly.Plots.resize(place));
  }
  const free = place.closest(".slices") ? (page - 20) / 2 : page;
  const needed = Math.max(free, plots[place.id].layout.meta?.min_width || 0);
  place.style.width = `${needed}px`;
  place.style.zoom = free / needed;
  return Plotly.relayout(place, { autosize: false, width: needed });
}

function paper(on) {
  document.documentElement.classList.toggle("print", on);
  document.querySelectorAll("details").forEach(each => { each.open = on; });
  places.forEach(place => draw(place).then(() => { width(place, on); recolour(place); }));
}
window.addEventListener("beforeprint", () => paper(true));
window.addEventListener("afterprint", () => paper(false));
dark.addEventListener("change", () => {
  places.filter(place => place.dataset.drawn === "done").forEach(recolour);
});

const copy = document.getElementById("copy");
if (copy) copy.addEventListener("click", async () => {
  const command = document.getElementById("command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command);
  }
});

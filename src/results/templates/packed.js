// What the page carries compressed: unpacked once, when it is first wanted.
async function unpack(id) {
  if (!window.DecompressionStream) throw new Error("This browser is too old to unpack the plots; one of 2023 or later does.");
  const place = document.getElementById(id), text = atob(place.textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  place.textContent = "";
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const once = work => { let found; return () => found ??= work(); };

const plotly = once(async () => {
  const script = document.createElement("script");
  script.textContent = await unpack("packed-plotly");
  document.head.append(script);
});
const trialsInFull = once(async () => JSON.parse(await unpack("packed-trials")));

// After the page is shown, so that printing finds it ready.
addEventListener("load", () => setTimeout(() => plotly().catch(() => {}), 0));

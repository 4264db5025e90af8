"""The page that `report` fills: DATA stands for its JSON."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>i2itool</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1240px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
#preview { display: block; max-width: 100%; min-width: 50%; background: #eee; }
#slider { width: 100%; } .alarm { background: #fde8e8; border-left: 4px solid #d62728; padding: .4rem .8rem; margin: .5rem 0; }
#plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem; }
svg { width: 100%; background: #fafafa; } text { font-size: 11px; fill: #555; }
.legend span { margin-right: 1em; font-size: .85rem; } pre { background: #f4f4f4; padding: .8rem; overflow: auto; }
</style></head><body>
<h1 id="title"></h1><p id="state"></p><div id="alarms"></div>
<h2>Previews: <output id="at"></output></h2>
<input id="slider" type="range" min="0" step="1" aria-label="step of the preview">
<img id="preview" alt="previews: A, A in B and back; B, B in A and back">
<h2>Curves</h2><div id="plots"></div>
<details><summary>Recipe</summary><pre id="recipe"></pre></details>
<script>
const data = DATA;
const colours = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f"];
const $ = id => document.getElementById(id), last = data.previews.length - 1;
const W = 600, H = 220, L = 52, B = 24, marks = [];
document.title = $("title").textContent = data.name;
$("state").textContent = `step ${data.step} of ${data.steps}` + (data.step < data.steps ? "" : ", done");
$("recipe").textContent = data.recipe;
for (const words of data.alarms) {
  const line = document.createElement("p"); line.className = "alarm"; line.textContent = words; $("alarms").append(line);
}
function draw(tag, parent, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  parent.append(node); return node;
}
for (const panel of data.panels) {
  const box = document.createElement("div"), head = document.createElement("strong"), legend = document.createElement("div");
  head.textContent = panel.title; legend.className = "legend"; box.append(head, legend); $("plots").append(box);
  const points = Object.values(panel.curves).flat(), xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const end = Math.max(...xs, 1), low = Math.min(...ys), high = Math.max(...ys);
  const x = step => L + (W - L - 8) * step / end, y = v => H - B - (H - B - 8) * (v - low) / (high - low || 1);
  const svg = draw("svg", box, {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": panel.title});
  for (const value of [low, (low + high) / 2, high]) {
    draw("line", svg, {x1: L, x2: W - 8, y1: y(value), y2: y(value), stroke: "#ddd"});
    draw("text", svg, {x: L - 4, y: y(value) + 4, "text-anchor": "end"}).textContent = Number(value.toPrecision(3));
  }
  draw("text", svg, {x: W - 8, y: H - 6, "text-anchor": "end"}).textContent = `step ${end}`;
  marks.push([draw("line", svg, {y1: 8, y2: H - B, stroke: "#999", "stroke-dasharray": "4 3"}), x]);
  Object.entries(panel.curves).forEach(([name, curve], index) => {
    const colour = colours[index % colours.length], label = document.createElement("span");
    draw("polyline", svg, {points: curve.map(p => `${x(p[0])},${y(p[1])}`).join(" "), fill: "none", stroke: colour,
      "stroke-width": 1.6, "data-name": name});
    if (curve.length === 1) draw("circle", svg, {cx: x(curve[0][0]), cy: y(curve[0][1]), r: 3, fill: colour});
    label.style.color = colour; label.textContent = `${name} ${curve[curve.length - 1][1]}`; legend.append(label);
  });
}
function show(index) {
  const preview = data.previews[index];
  if (!preview) { $("at").textContent = "none yet"; return; }
  $("slider").value = index; $("preview").src = preview.src; $("at").textContent = `step ${preview.step}`;
  for (const [mark, x] of marks) { mark.setAttribute("x1", x(preview.step)); mark.setAttribute("x2", x(preview.step)); }
}
$("slider").max = Math.max(last, 0);
$("slider").oninput = event => { location.replace("#" + event.target.value); show(Number(event.target.value)); };
show(location.hash ? Math.min(Number(location.hash.slice(1)), last) : last);
// While it trains, the page looks for a newer one, unless somebody looks at an older preview.
if (data.step < data.steps) setTimeout(() => { if (Number($("slider").value) >= last) location.replace(location.pathname); }, 60000);
</script></body></html>
"""  # noqa: E501  # lines of a page

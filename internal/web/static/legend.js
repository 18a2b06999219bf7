// The legend: samples of nodes and lines, drawn as the map draws them.
import { html } from "./html.js";
import { drawLine, drawNode } from "./map.js";
import { buildScene } from "./scene.js";
import { svg } from "./svg.js";

const sampleWidth = 200; // px

const container = (name, more = {}) => ({ id: name, kind: "container", name, image: "redis:7", project: "shop", service: name, ...more });
const details = (more) => ({ details: { listening: [], networks: [], state: "running", ...more } });

/** nodes are samples with what they show. */
const nodes = [
  [container("cache", details({ listening: [{ address: "::", port: 6379, published: [{ address: "0.0.0.0", port: 8000 }] }] })),
    "A container with its image, here published at port 8000 of its host. The coloured letter stands for the Compose project."],
  [container("job", details({ health: "unhealthy" })), "A badge names a state such as paused, restarting, unhealthy or starting."],
  [container("proxy", details({ engineSocket: true })), "The container has the engine's socket: it controls the host. Another badge marks the host's network."],
  [container("sealed", { reason: "no cat", ...details({}) }), "Partly readable: something about the container could not be read."],
  [container("old", { past: true }), "Past: the container is gone, or it has no current data."],
  [{ id: "web", kind: "service", name: "web", service: "web", project: "shop", members: 3, publishes: new Set() }, "A group. Double-click it to expand it. Click the title of a box to collapse it."],
  [{ id: "address", kind: "external", name: "203.0.113.7" }, "An external address, or its configured name."],
  [{ id: "several", kind: "ambiguous", name: "10.0.0.5", candidates: ["a", "b"] }, "An address that several nodes have, or a node that nothing identifies."],
];

/** lines are the flags and widths of samples with what they show. */
const lines = [
  [[], 1.3, "From a client to its server, with the server's port and its connections. \"9/min\": none is open now, and nine ended within the last minute."],
  [[], 4, "More connections, or more data, make it thicker."],
  [["one-sided"], 1.3, "The connections were observed at one end only."],
  [["idle"], 1.3, "Idle: connections are open, but no data has passed for a minute. Only netlink shows it."],
  [["past"], 1.3, "Past: not seen for three intervals. Also without current data from the host."],
  [["new"], 1.3, "New since the chosen time."],
  [["gone"], 1.3, "Gone since the chosen time."],
  [["failed"], 1.3, "Failed: the client dials, and the server refuses or does not answer."],
];

/** fillLegend adds the samples to a list. */
export function fillLegend(list) {
  list.replaceChildren(
    ...nodes.map(([node, text]) => html("li", {}, sample(nodeSample(node)), html("span", {}, text))),
    ...lines.map(([flags, width, text]) => html("li", {}, sample(lineSample(flags, width)), html("span", {}, text))));
}

const sample = ({ element, h }) => svg("svg", { class: "drawing-root", width: sampleWidth, height: h + 4, "aria-hidden": "true" }, element);

function nodeSample(node) {
  const { nodes: [built] } = buildScene({ nodes: [node], links: [] }, [], 0);
  const [full] = built.sizes, element = drawNode({ ...built, ...full, isSmall: false });
  for (const name of ["role", "aria-label", "data-kind", "data-draggable"]) element.removeAttribute(name);
  element.setAttribute("transform", "translate(2, 2)");
  return { element, h: full.h };
}

function lineSample(flags, width) {
  const element = drawLine({ flags, width, path: `M10 12L${sampleWidth - 30} 12` });
  element.removeAttribute("data-kind");
  return { element, h: 20 };
}

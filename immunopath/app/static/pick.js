"use strict";
// Picking regions of a slide: it is sent once, shown with its tissue, and waits for the run.

(() => {
  const form = document.getElementById("case");
  if (!form) return;
  const $ = (id) => document.getElementById(id);
  const own = { "x-immunopath": "page" };
  const most = Number(form.dataset.maxRegions);
  const SVG = "http://www.w3.org/2000/svg";
  const map = $("slide-map");
  let selection = { files: [], example: "" };
  let held = null;
  let squares = [];
  let timer = 0;
  let looking = 0;
  let zoom = 1;

  const fail = (text) => document.dispatchEvent(new CustomEvent("immunopath:fault", { detail: text }));
  const lines = () => $("regions").value.split("\n").map((line) => line.replace(/\s/g, "")).filter(Boolean);
  const key = (place) => place.slice(0, 4).join(",");
  const one = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  function shape(name, values, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [attribute, value] of Object.entries(values)) made.setAttribute(attribute, value);
    parent.append(made);
    return made;
  }

  function box([x, y, width, height]) { return { x, y, width, height }; }

  function mark() {
    const listed = lines();
    for (const { node, place } of squares) {
      const at = listed.indexOf(key(place));
      node.setAttribute("aria-checked", String(at >= 0));
      node.querySelector("text").textContent = at >= 0 ? String(at + 1) : "";
    }
    for (const other of map.querySelectorAll(".by-hand")) other.remove();
    const known = new Set(squares.map(({ place }) => key(place)));
    if (held) {
      for (const line of listed.filter((each) => !known.has(each))) {
        const numbers = line.split(",").map(Number);
        if (numbers.length === 4 && numbers.every((n) => n >= 0)) shape("rect", { ...box(numbers), class: "by-hand" }, map);
      }
    }
    const odd = listed.findIndex((line) => !/^\d+,\d+,[1-9]\d*,[1-9]\d*$/.test(line));
    const [they, them] = listed.length === 1 ? ["it is", "it"] : ["they are", "them"];
    $("picked").hidden = !held && !listed.length;
    $("picked").textContent = !listed.length
      ? "None picked: regions spread over the tissue are read."
      : odd >= 0 ? `Line ${odd + 1} is no x,y,width,height in whole pixels.`
        : `${one(listed.length, "region")} picked. Only ${they} read, and the report says that a person picked ${them}.`;
    $("unpick").disabled = !listed.length;
  }

  function toggle({ place }) {
    const listed = lines();
    const at = listed.indexOf(key(place));
    if (at >= 0) listed.splice(at, 1);
    else if (listed.length >= most) { fail(`at most ${most} regions make one case`); return; }
    else listed.push(key(place));
    fail("");
    $("regions").value = listed.join("\n");
    mark();
  }

  function look(square) {
    clearTimeout(looking);
    looking = setTimeout(() => {
      if (!held) return;
      const figure = $("closer");
      figure.querySelector("img").src = `/slides/${held.slide}/${square.number}.jpg`;
      figure.querySelector("figcaption").textContent = `${square.words}: ${key(square.place)}`;
      figure.hidden = false;
    }, 150);
  }

  function go(from, axis, way) {
    const [a, b] = axis ? [1, 0] : [0, 1];
    let best = null;
    for (const other of squares) {
      const ahead = (other.place[a] - from.place[a]) * way;
      if (ahead <= 0) continue;
      const cost = ahead + 4 * Math.abs(other.place[b] - from.place[b]);
      if (!best || cost < best.cost) best = { cost, other };
    }
    return best ? best.other : from;
  }

  function focus(square) {
    for (const { node } of squares) node.setAttribute("tabindex", "-1");
    square.node.setAttribute("tabindex", "0");
    square.node.focus();
  }

  function pressed(event, square) {
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] };
    if (event.key in ways) focus(go(square, ...ways[event.key]));
    else if (event.key === "Home") focus(squares[0]);
    else if (event.key === "End") focus(squares[squares.length - 1]);
    else if (event.key === " " || event.key === "Enter") toggle(square);
    else return;
    event.preventDefault();
  }

  function draw() {
    const [left, top, width, height] = held.bounds;
    map.replaceChildren();
    map.setAttribute("viewBox", held.bounds.join(" "));
    map.setAttribute("aria-label", `Squares of tissue on ${held.name}`);
    shape("image", { ...box([left, top, width, height]), href: `/slides/${held.slide}/thumbnail.jpg` }, map);
    const columns = [...new Set(held.places.map((place) => place[0]))].sort((a, b) => a - b);
    const rows = [...new Set(held.places.map((place) => place[1]))].sort((a, b) => a - b);
    squares = held.places.map((place, number) => {
      const words = `column ${columns.indexOf(place[0]) + 1}, row ${rows.indexOf(place[1]) + 1}, ${Math.round(100 * place[4])} % tissue`;
      const node = shape("g", { class: "place", role: "checkbox", "aria-checked": "false", "aria-label": words, tabindex: number ? "-1" : "0" }, map);
      for (const name of ["under", "over"]) shape("rect", { ...box(place), class: name }, node);
      const label = { x: place[0] + place[2] * 0.07, y: place[1] + place[3] * 0.07, "font-size": place[3] * 0.25 };
      shape("text", label, node);
      const square = { node, place, number, words };
      node.addEventListener("click", () => { toggle(square); focus(square); });
      node.addEventListener("focus", () => look(square));
      node.addEventListener("keydown", (event) => pressed(event, square));
      return square;
    });
  }

  function size(factor) {
    const [place] = held.places; // a square is to stay in view with its frame
    const most = place ? 2 ** Math.floor(Math.log2(Math.max(1, held.bounds[2] / (1.5 * place[2])))) : 8;
    zoom = Math.min(8, most, Math.max(1, factor));
    map.style.width = `${100 * zoom}%`;
    $("smaller").disabled = zoom === 1;
    $("larger").disabled = zoom === Math.min(8, most);
  }

  function show() {
    const shown = held.places.length;
    const more = held.of > shown ? ` Of ${held.of} squares the first ${shown} are drawn; name others as numbers.` : "";
    $("slide-facts").textContent = `${held.name}: ${held.size.join(" × ")} px, ${held.scale}. ${shown ? `${one(shown, "square")} of ${Math.round(held.side_um)} µm with tissue.` : "No square holds enough tissue; a region can still be named as numbers."}${more} Kept for ${Math.round(held.seconds / 60)} minutes at most, deleted with the run.`;
    draw();
    size(1);
    $("slide-view").hidden = false;
    mark();
  }

  function close(said) {
    clearTimeout(timer);
    clearTimeout(looking);
    held = null;
    squares = [];
    map.replaceChildren();
    $("slide").value = "";
    $("slide-view").hidden = true;
    $("closer").hidden = true;
    $("closer").querySelector("img").removeAttribute("src");
    $("slide-state").textContent = said;
    ready();
    mark();
  }

  function forget() {
    if (held) fetch(`/slides/${held.slide}`, { method: "DELETE", headers: own, keepalive: true }).catch(() => {});
  }

  function ready() {
    const count = selection.files.length + (selection.example ? 1 : 0);
    $("show-tiles").disabled = count !== 1;
    $("show-tiles").textContent = held ? "Show it anew" : "Show its tissue to pick from";
  }

  async function send() {
    const data = new FormData();
    const [file] = selection.files;
    if (file && file.size > Number(form.dataset.maxBytes)) throw new Error(`${file.name} is larger than ${form.dataset.limitWords}; use the command line for it`);
    if (file) data.append("images", file);
    data.append("example", selection.example);
    data.append("mpp", $("mpp").value);
    const answer = await fetch("/slides", { method: "POST", headers: own, body: data });
    const text = await answer.text();
    let said;
    try { said = JSON.parse(text); } catch { said = { error: text.trim() }; }
    if (!answer.ok) throw new Error(said.error);
    return said;
  }

  $("show-tiles").onclick = async () => {
    const asked = selection;
    fail("");
    close("sending and opening the slide");
    $("show-tiles").disabled = true;
    $("run").disabled = true;
    try {
      held = await send();
      if (asked !== selection) { forget(); close(""); return; } // another image was chosen meanwhile
      $("slide").value = held.slide;
      timer = setTimeout(() => close("The slide's time is over: it was deleted. Show it again to go on picking."), 1000 * held.seconds);
      $("slide-state").textContent = "";
      show();
    } catch (error) {
      $("slide-state").textContent = "";
      fail(error instanceof TypeError ? "the page's server does not answer; is it still running?" : error.message);
    } finally {
      $("run").disabled = false;
      ready();
    }
  };

  document.addEventListener("immunopath:chosen", (event) => {
    const before = selection;
    selection = { files: [...event.detail.files], example: event.detail.example };
    const same = before.example === selection.example && before.files.length === selection.files.length
      && before.files.every((file, index) => file === selection.files[index]);
    if (same) { selection = before; return; }
    if (before.files.length || before.example) $("regions").value = ""; // those of another image
    forget();
    close("");
  });
  document.addEventListener("immunopath:gone", () => close("The slide is sent again with the run."));
  document.addEventListener("immunopath:taken", () => { if (held) close("The slide went with its run and is deleted after it."); });
  $("closer").querySelector("img").onerror = () => { $("closer").hidden = true; };
  addEventListener("pagehide", forget);
  $("regions").addEventListener("input", mark);
  $("unpick").onclick = () => { $("regions").value = ""; mark(); };
  $("larger").onclick = () => size(zoom * 2);
  $("smaller").onclick = () => size(zoom / 2);
})();

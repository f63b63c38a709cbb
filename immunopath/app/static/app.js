"use strict";
// The page of one case: choose images, send them, follow the run, show the report.

(() => {
  const form = document.getElementById("case");
  if (!form) return;
  const $ = (id) => document.getElementById(id);
  const own = { "x-immunopath": "page" };
  const picker = $("images");
  const limit = { files: Number(form.dataset.maxFiles), bytes: Number(form.dataset.maxBytes) };
  let chosen = [];
  let example = null;
  let address = "";
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`immunopath:${name}`, { detail }));

  const words = (n) => (n >= 1048576 ? `${(n / 1048576).toFixed(1)} MB` : `${Math.ceil(n / 1024)} kB`);

  function fail(text) {
    $("error").textContent = text;
    $("error").hidden = !text;
    if (text) $("error").scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("immunopath:fault", (event) => fail(event.detail));
  const announce = () => tell("chosen", { files: chosen, example: example ? example.dataset.name : "" });

  function showChosen() {
    const list = $("chosen");
    for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    list.replaceChildren(...chosen.map((file, number) => {
      const item = document.createElement("li");
      if (/\.(png|jpe?g|webp|gif|bmp)$/i.test(file.name)) {
        const image = document.createElement("img");
        image.alt = "";
        image.onerror = () => image.remove();
        image.src = URL.createObjectURL(file);
        item.append(image);
      }
      const away = document.createElement("button");
      away.type = "button";
      away.textContent = "remove";
      away.setAttribute("aria-label", `remove ${file.name}`);
      away.onclick = () => { chosen.splice(number, 1); showChosen(); };
      item.append(`${file.name}, ${words(file.size)}`, away);
      return item;
    }));
    announce();
  }

  function useExample(button) {
    const before = example;
    example = button && button !== before ? button : null;
    for (const each of document.querySelectorAll(".example")) {
      each.setAttribute("aria-pressed", String(each === example));
    }
    $("example").value = example ? example.dataset.name : "";
    const source = example || before;
    if (!source) return;
    for (const [id, value] of [["mpp", source.dataset.mpp], ["patient_id", source.dataset.patient]]) {
      if (example && (!$(id).value || before)) $(id).value = value;
      if (!example && $(id).value === value) $(id).value = "";
    }
    announce();
  }

  function add(files) {
    fail("");
    if (files.length) useExample(null);
    chosen.push(...files);
    if (chosen.length > limit.files) {
      fail(`${chosen.length} images were chosen; at most ${limit.files} make one case here`);
      chosen = chosen.slice(0, limit.files);
    }
    showChosen();
  }

  picker.onchange = () => { add([...picker.files]); picker.value = ""; };
  const drop = document.querySelector(".drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  }
  drop.addEventListener("drop", (event) => add([...event.dataTransfer.files]));
  for (const button of document.querySelectorAll(".example")) {
    button.onclick = () => { chosen = []; showChosen(); fail(""); useExample(button); };
  }
  $("invented").onclick = () => {
    for (const [key, value] of Object.entries(JSON.parse($("invented").dataset.facts))) {
      form.elements[key].value = value;
    }
  };
  $("clear").onclick = () => { form.reset(); chosen = []; showChosen(); useExample(null); fail(""); };

  function mark(events) {
    for (const node of document.querySelectorAll("[data-agent]")) {
      const mine = events.filter((event) => event.agent === node.dataset.agent);
      const last = mine[mine.length - 1];
      const ends = mine.filter((event) => event.event === "finished");
      const note = node.querySelector("i");
      node.className = !last ? "" : last.event === "started" ? "running" : last.status;
      if (!last) note.textContent = "";
      else if (last.event === "started") note.textContent = ends.length ? `round ${ends.length + 1}` : "working";
      else {
        const ms = ends.reduce((sum, event) => sum + event.ms, 0);
        const time = ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
        const state = last.status === "ok" ? "done" : last.status;
        note.textContent = `${state}, ${time}${ends.length > 1 ? `, ${ends.length} rounds` : ""}`;
      }
    }
  }

  function skipTheRest() {
    for (const node of document.querySelectorAll("[data-agent]")) {
      if (!node.className) { node.className = "skipped"; node.querySelector("i").textContent = "not needed"; }
    }
  }

  function show(report) {
    const verdict = $("verdict");
    verdict.className = `status status-${report.status}`;
    const word = document.createElement("b");
    word.textContent = report.status;
    verdict.replaceChildren(word, ` ${report.reason || `case ${report.case_id}`}`);
    for (const link of document.querySelectorAll("#result .downloads a")) {
      const name = link.dataset.format;
      link.href = name ? `${address}/report.${name}?download=1` : `${address}/report.html`;
    }
    $("report").src = `${address}/report.html`;
    $("result").hidden = false;
    $("result").scrollIntoView({ block: "start" });
  }

  const seconds = (since) => Math.round((Date.now() - since) / 1000);

  async function follow() {
    let since = 0;
    for (;;) {
      const answer = await fetch(address, { headers: own });
      const run = await answer.json();
      if (!answer.ok) throw new Error(run.error);
      mark(run.events);
      if (run.state === "running" && !since) since = Date.now();
      $("working").textContent = run.state === "waiting"
        ? `waiting, ${run.ahead} ${run.ahead === 1 ? "case" : "cases"} before this one` : run.state === "running" ? `working, ${seconds(since)} s` : "";
      if (run.state === "failed") throw new Error(run.error);
      if (run.state === "done") { skipTheRest(); show(run.report); return; }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function start() {
    const bytes = chosen.reduce((sum, file) => sum + file.size, 0);
    if (bytes > limit.bytes) throw new Error(`the images hold ${words(bytes)}; at most ${form.dataset.limitWords} together here`);
    if (!chosen.length && !example) throw new Error("no image was given; choose at least one, or an example");
    const data = new FormData(form);
    data.delete("images");
    if (!$("slide").value) for (const file of chosen) data.append("images", file); // else it is there
    $("working").textContent = "sending";
    const answer = await fetch("/runs", { method: "POST", headers: own, body: data });
    const text = await answer.text();
    let said;
    try { said = JSON.parse(text); } catch { said = { error: text.trim() }; }
    if (answer.status === 410) tell("gone", said.error);
    if (!answer.ok) throw new Error(said.error);
    tell("taken", "");
    history.replaceState(null, "", `#${said.run}`); // so that a reloaded page finds its run again
    await watch(said.run);
  }

  async function watch(run) {
    address = `/runs/${run}`;
    mark([]);
    $("progress").hidden = false;
    $("progress").scrollIntoView({ block: "nearest" });
    await follow();
  }

  async function during(work) {
    fail("");
    $("result").hidden = true;
    $("progress").hidden = true;
    $("run").disabled = true;
    try {
      await work();
    } catch (error) {
      fail(error instanceof TypeError ? "the page's server does not answer; is it still running?" : error.message);
    } finally {
      $("run").disabled = false;
      $("working").textContent = "";
    }
  }

  form.onsubmit = (event) => {
    event.preventDefault();
    during(start);
  };

  $("forget").onclick = async () => {
    await fetch(address, { method: "DELETE", headers: own });
    $("report").removeAttribute("src");
    $("result").hidden = true;
    $("progress").hidden = true;
    history.replaceState(null, "", "/");
  };

  const left = location.hash.slice(1);
  if (/^[\w-]{22}$/.test(left)) during(() => watch(left));
})();

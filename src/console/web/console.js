/* The console's only script: it asks the node's own HTTP endpoints and writes what they say as text, never as markup. */
"use strict";

const REFRESH_MS = 5000;
const TIMEOUT_MS = 4000;
const PAGE_SIZE = 20;

const TEXTS = {
  en: {
    node: "Node", services: "Services", clients: "Clients", namespace: "Namespace", group: "Group", service: "Service",
    hideEmpty: "Hide empty services", search: "Search", clusters: "Clusters", instances: "Instances", healthy: "Healthy",
    protection: "Protection", instancesOf: "Instances of", close: "Close", address: "Address", cluster: "Cluster",
    health: "Health", enabled: "Enabled", weight: "Weight", kind: "Kind", metadata: "Metadata",
    clientContains: "Id contains", client: "Client", registers: "Registers", subscribes: "Subscribes",
    yes: "yes", no: "no", on: "on", isHealthy: "healthy", isUnhealthy: "unhealthy", ephemeral: "ephemeral",
    persistent: "persistent", state: "State", version: "Version", protocol: "Nacos version", mode: "Mode", port: "Port",
    uptime: "Uptime", subscriptions: "Subscriptions", connections: "gRPC clients", httpClients: "HTTP clients",
    cpu: "CPU (one core)", load: "Load", memory: "Memory of the machine", previous: "Previous", next: "Next",
    none: "Nothing here yet.", page: (p, n, c) => `Page ${p} of ${n} (${c})`, refreshed: (t) => `As of ${t}`,
    days: (d) => `${d} d`, hours: (h) => `${h} h`, minutes: (m) => `${m} min`, seconds: (s) => `${s} s`,
    unreachable: (why) => `The node does not answer: ${why}`, refused: (status, text) => `The node answered ${status}: ${text}`,
    timeout: "no answer in time", clientType: "Type", app: "Application", agent: "Client", lastUpdated: "Last change",
    gone: "This client is gone.", serviceGone: "This service is gone.", removals: "Latest removals",
  },
  zh: {
    node: "节点", services: "服务", clients: "客户端", namespace: "命名空间", group: "分组", service: "服务名",
    hideEmpty: "隐藏空服务", search: "查询", clusters: "集群数", instances: "实例数", healthy: "健康实例数",
    protection: "触发保护", instancesOf: "服务实例：", close: "关闭", address: "地址", cluster: "集群",
    health: "健康状态", enabled: "启用", weight: "权重", kind: "类型", metadata: "元数据",
    clientContains: "ID 包含", client: "客户端", registers: "注册", subscribes: "订阅",
    yes: "是", no: "否", on: "已触发", isHealthy: "健康", isUnhealthy: "不健康", ephemeral: "临时",
    persistent: "持久", state: "状态", version: "版本", protocol: "Nacos 版本", mode: "模式", port: "端口",
    uptime: "运行时间", subscriptions: "订阅数", connections: "gRPC 客户端", httpClients: "HTTP 客户端",
    cpu: "CPU（单核）", load: "负载", memory: "机器内存", previous: "上一页", next: "下一页",
    none: "暂无数据。", page: (p, n, c) => `第 ${p} / ${n} 页（共 ${c}）`, refreshed: (t) => `更新于 ${t}`,
    days: (d) => `${d} 天`, hours: (h) => `${h} 小时`, minutes: (m) => `${m} 分`, seconds: (s) => `${s} 秒`,
    unreachable: (why) => `节点无响应：${why}`, refused: (status, text) => `节点返回 ${status}：${text}`,
    timeout: "请求超时", clientType: "类型", app: "应用", agent: "客户端版本", lastUpdated: "最近变更",
    gone: "该客户端已离线。", serviceGone: "该服务已不存在。", removals: "最近移除",
  },
};

const state = {
  language: "en",
  view: "node",
  services: { namespace: "", group: "", service: "", hideEmpty: false, page: 1 },
  chosen: null, /* { name, group, page } */
  clients: { contains: "", page: 1, ids: [] },
  client: null, /* id */
  reveal: false, /* what was just chosen is brought into view once it is there */
};

const at = (id) => document.getElementById(id);
const text = (key) => TEXTS[state.language][key];

/* --- the node's answers --- */

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* The JSON that a GET answers; a Refusal with the node's words for anything else. */
async function ask(path, query) {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(query || {}).toString();
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = await response.text();
  let json = null;
  try {
    json = JSON.parse(body);
  } catch (error) {
    json = null;
  }
  if (!response.ok || json === null) {
    const said = json && (typeof json.data === "string" ? json.data : json.message);
    throw new Refusal(response.status, String(said || body).slice(0, 300));
  }
  return json;
}

/* The data of a v2 answer. */
async function askResult(path, query) {
  const result = await ask(path, query);
  if (result.code !== 0) {
    throw new Refusal(result.code, String(result.data || result.message));
  }
  return result.data;
}

/* --- writing --- */

function element(name, content, className) {
  const made = document.createElement(name);
  if (content !== undefined && content !== null) {
    made.textContent = String(content);
  }
  if (className) {
    made.className = className;
  }
  return made;
}

function cell(label, content, className) {
  const made = element("td", content instanceof Node ? null : content, className);
  if (content instanceof Node) {
    made.append(content);
  }
  made.dataset.label = label;
  return made;
}

function link(label, action) {
  const made = element("button", label, "link");
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function fillTable(table, rows) {
  const body = table.tBodies[0];
  if (rows.length === 0) {
    const row = element("tr");
    const empty = element("td", text("none"), "empty");
    empty.colSpan = table.tHead.rows[0].cells.length;
    row.append(empty);
    rows = [row];
  }
  keepFocus(() => body.replaceChildren(...rows));
}

/* A refresh must not take the keyboard away from who is on a row's button. */
function keepFocus(change) {
  const key = document.activeElement && document.activeElement.dataset.key;
  change();
  if (key) {
    const again = [...document.querySelectorAll("[data-key]")].find((e) => e.dataset.key === key);
    if (again) {
      again.focus();
    }
  }
}

function fillFacts(list, facts) {
  list.replaceChildren(...facts.filter((fact) => fact[1] !== undefined && fact[1] !== null).map(([label, value]) => {
    const pair = element("div");
    pair.append(element("dt", label), element("dd", value));
    return pair;
  }));
}

function fillPager(pager, page, count, go) {
  const pages = Math.max(1, Math.ceil(count / PAGE_SIZE));
  const button = (label, target) => {
    const made = element("button", label);
    made.type = "button";
    made.dataset.key = pager.id + label;
    made.disabled = target < 1 || target > pages;
    made.addEventListener("click", () => go(target));
    return made;
  };
  keepFocus(() => pager.replaceChildren(
    button(text("previous"), page - 1),
    element("span", text("page")(page, pages, count), "quiet"),
    button(text("next"), page + 1)));
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) {
    return `${text("days")(days)} ${text("hours")(hours)}`;
  }
  if (hours > 0) {
    return `${text("hours")(hours)} ${text("minutes")(minutes)}`;
  }
  return minutes > 0 ? `${text("minutes")(minutes)} ${text("seconds")(seconds % 60)}` : text("seconds")(seconds);
}

const when = (milliseconds) => new Date(milliseconds).toLocaleString(document.documentElement.lang);

const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : undefined);

/* --- node --- */

function showState(status) {
  const badge = at("state");
  badge.textContent = status;
  badge.classList.toggle("good", status === "UP");
  badge.classList.toggle("bad", status !== "UP");
}

async function loadNode() {
  const [server, metrics] = await Promise.all([
    ask("v1/console/server/state"),
    ask("v1/ns/operator/metrics", { onlyStatus: "false" }),
  ]);
  showState(metrics.status);
  const uptime = Number(server.nacre_uptime_seconds);
  fillFacts(at("facts"), [
    [text("state"), metrics.status],
    [text("version"), server.nacre_version],
    [text("protocol"), server.version],
    [text("mode"), server.startup_mode],
    [text("port"), server.server_port],
    [text("uptime"), Number.isFinite(uptime) ? duration(uptime) : undefined],
    [text("services"), metrics.serviceCount],
    [text("instances"), metrics.instanceCount],
    [text("subscriptions"), metrics.subscribeCount],
    [text("clients"), metrics.clientCount],
    [text("connections"), metrics.connectionBasedClientCount],
    [text("httpClients"), metrics.ephemeralIpPortClientCount],
    [text("cpu"), percent(metrics.cpu)],
    [text("load"), Number.isFinite(metrics.load) ? metrics.load.toFixed(2) : undefined],
    [text("memory"), percent(metrics.mem)],
  ]);
}

/* --- services --- */

function serviceRow(service) {
  const row = element("tr");
  const chosen = state.chosen;
  if (chosen && chosen.name === service.name && chosen.group === service.groupName) {
    row.className = "chosen";
  }
  const name = link(service.name, () => choose({ name: service.name, group: service.groupName, page: 1 }));
  name.dataset.key = `${service.groupName}@@${service.name}`;
  row.append(
    cell(text("service"), name),
    cell(text("group"), service.groupName),
    cell(text("clusters"), service.clusterCount, "number"),
    cell(text("instances"), service.ipCount, "number"),
    cell(text("healthy"), service.healthyInstanceCount,
         service.healthyInstanceCount < service.ipCount ? "number bad" : "number"),
    cell(text("protection"), service.triggerFlag === "true" ? text("on") : "–", service.triggerFlag === "true" ? "bad" : ""));
  return row;
}

async function loadServices() {
  const wanted = state.services;
  const answer = await ask("v1/ns/catalog/services", {
    namespaceId: wanted.namespace,
    groupNameParam: wanted.group,
    serviceNameParam: wanted.service,
    hasIpCount: String(wanted.hideEmpty),
    pageNo: String(wanted.page),
    pageSize: String(PAGE_SIZE),
  });
  const list = answer.serviceList || [];
  if (list.length === 0 && answer.count > 0 && wanted.page > 1) {
    wanted.page = Math.max(1, Math.ceil(answer.count / PAGE_SIZE));
    return loadServices();
  }
  fillTable(at("service-table"), list.map(serviceRow));
  fillPager(at("service-pager"), wanted.page, answer.count, (page) => {
    wanted.page = page;
    moved();
  });
  return loadInstances();
}

function choose(service) {
  state.reveal = service !== null;
  state.chosen = service;
  moved();
}

function reveal(detail) {
  if (state.reveal) {
    state.reveal = false;
    detail.scrollIntoView({ block: "nearest" });
  }
}

function metadataText(metadata) {
  return Object.entries(metadata || {}).map(([key, value]) => `${key}=${value}`).join("\n");
}

function metadataCell(metadata) {
  const list = element("ul", null, "plain");
  for (const line of metadataText(metadata).split("\n").filter(Boolean)) {
    list.append(element("li", line));
  }
  return cell(text("metadata"), list);
}

function instanceRow(instance) {
  const row = element("tr");
  const address = instance.ip.includes(":") ? `[${instance.ip}]:${instance.port}` : `${instance.ip}:${instance.port}`;
  row.append(
    cell(text("address"), address),
    cell(text("cluster"), instance.clusterName),
    cell(text("health"), text(instance.healthy ? "isHealthy" : "isUnhealthy"), instance.healthy ? "good" : "bad"),
    cell(text("enabled"), text(instance.enabled ? "yes" : "no"), instance.enabled ? "" : "bad"),
    cell(text("weight"), instance.weight, "number"),
    cell(text("kind"), text(instance.ephemeral ? "ephemeral" : "persistent")),
    metadataCell(instance.metadata));
  return row;
}

async function loadInstances() {
  const chosen = state.chosen;
  at("instances").hidden = !chosen;
  if (!chosen) {
    return;
  }
  at("instances-name").textContent = `${chosen.group}@@${chosen.name}`;
  const service = { namespaceId: state.services.namespace, serviceName: `${chosen.group}@@${chosen.name}` };
  const removals = ask("v1/nacre/removals", service).then((said) => said.removals, () => []);
  let answer = { list: [], count: 0 };
  try {
    answer = await ask("v1/ns/catalog/instances",
                       { ...service, clusterName: "", pageNo: String(chosen.page), pageSize: String(PAGE_SIZE) });
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) {
      throw error;
    }
    at("instances-name").textContent = `${chosen.group}@@${chosen.name} – ${text("serviceGone")}`;
  }
  const gone = await removals;
  if (state.chosen !== chosen) {
    return; /* another one was chosen meanwhile */
  }
  const lines = gone.map((r) => element("li", `${when(r.time)} – ${r.instance} – ${r.reason} (${r.client})`));
  at("removals").replaceChildren(...(lines.length > 0 ? lines : [element("li", text("none"), "quiet")]));
  fillTable(at("instance-table"), (answer.list || []).map(instanceRow));
  fillPager(at("instance-pager"), chosen.page, answer.count || 0, (page) => choose({ ...chosen, page }));
  reveal(at("instances"));
}

/* --- clients --- */

function clientRow(id) {
  const row = element("tr");
  const name = link(id, () => {
    state.reveal = true;
    state.client = id;
    moved();
  });
  name.dataset.key = id;
  if (state.client === id) {
    row.className = "chosen";
  }
  row.append(cell(text("client"), name));
  return row;
}

function showClients() {
  const wanted = state.clients;
  const found = wanted.ids.filter((id) => id.includes(wanted.contains)).sort();
  wanted.page = Math.min(wanted.page, Math.max(1, Math.ceil(found.length / PAGE_SIZE)));
  const from = (wanted.page - 1) * PAGE_SIZE;
  fillTable(at("client-table"), found.slice(from, from + PAGE_SIZE).map(clientRow));
  fillPager(at("client-pager"), wanted.page, found.length, (page) => {
    wanted.page = page;
    showClients();
  });
}

async function loadClients() {
  state.clients.ids = await askResult("v2/ns/client/list");
  showClients();
  return loadClient();
}

function fillServices(list, services, describe) {
  const items = (services || []).map((s) => element("li", `${s.namespace} / ${s.group} / ${s.serviceName}${describe(s)}`));
  list.replaceChildren(...(items.length > 0 ? items : [element("li", text("none"), "quiet")]));
}

function showClient(id, client, publishes, subscribes) {
  at("client-name").textContent = id;
  fillFacts(at("client-facts"), client === null ? [[text("state"), text("gone")]] : [
    [text("clientType"), client.connectType ? `${client.clientType} ${client.connectType}` : client.clientType],
    [text("kind"), text(client.ephemeral ? "ephemeral" : "persistent")],
    [text("address"), `${client.clientIp}:${client.clientPort}`],
    [text("agent"), client.version],
    [text("app"), client.appName],
    [text("lastUpdated"), when(client.lastUpdatedTime)],
  ]);
  fillServices(at("client-publishes"), publishes, (s) => {
    const instance = s.registeredInstance || {};
    return ` – ${instance.ip}:${instance.port} ${instance.cluster || ""}`;
  });
  fillServices(at("client-subscribes"), subscribes, () => "");
}

async function loadClient() {
  const id = state.client;
  at("client").hidden = id === null;
  if (id === null) {
    return;
  }
  let answers = [null, [], []];
  try {
    answers = await Promise.all([
      askResult("v2/ns/client", { clientId: id }),
      askResult("v2/ns/client/publish/list", { clientId: id }),
      askResult("v2/ns/client/subscribe/list", { clientId: id }),
    ]);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) {
      throw error;
    }
  }
  if (state.client === id) {
    showClient(id, ...answers);
    reveal(at("client"));
  }
}

/* --- the page --- */

const VIEWS = { node: loadNode, services: loadServices, clients: loadClients };

function showProblem(message) {
  at("problem").hidden = !message;
  at("problem").textContent = message || "";
  document.querySelector("main").classList.toggle("stale", Boolean(message));
}

function describe(error) {
  if (error instanceof Refusal) {
    return text("refused")(error.status, error.message);
  }
  return text("unreachable")(error.name === "TimeoutError" ? text("timeout") : error.message);
}

let turn = 0;

/* Load what is shown. A turn that was overtaken by a later one says nothing. */
async function refresh() {
  const mine = ++turn;
  try {
    const loads = [VIEWS[state.view]()];
    if (state.view !== "node") {
      loads.push(ask("v1/ns/operator/metrics").then((metrics) => showState(metrics.status)));
    }
    await Promise.all(loads);
    if (mine === turn) {
      showProblem(null);
      at("refreshed").textContent = text("refreshed")(new Date().toLocaleTimeString(document.documentElement.lang));
    }
  } catch (error) {
    if (mine === turn) {
      showState("?");
      showProblem(describe(error));
    }
  }
}

/* Where we are, in the address: so that reload, back and a shared link find it again. */
function writeHash() {
  const query = new URLSearchParams();
  if (state.view === "services") {
    for (const key of ["namespace", "group", "service"]) {
      if (state.services[key]) {
        query.set(key, state.services[key]);
      }
    }
    if (state.services.hideEmpty) {
      query.set("hideEmpty", "1");
    }
    if (state.services.page > 1) {
      query.set("page", String(state.services.page));
    }
    if (state.chosen) {
      query.set("name", state.chosen.name);
      query.set("of", state.chosen.group);
      if (state.chosen.page > 1) {
        query.set("at", String(state.chosen.page));
      }
    }
  }
  if (state.view === "clients" && state.client !== null) {
    query.set("client", state.client);
  }
  const tail = query.toString();
  return `#${state.view}${tail ? `?${tail}` : ""}`;
}

function pageNumber(value) {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 ? number : 1;
}

function readHash() {
  const [view, tail] = location.hash.slice(1).split(/\?(.*)/s);
  const query = new URLSearchParams(tail || "");
  state.view = Object.hasOwn(VIEWS, view) ? view : "node";
  if (state.view === "services") {
    state.services = {
      namespace: query.get("namespace") || "", group: query.get("group") || "", service: query.get("service") || "",
      hideEmpty: query.has("hideEmpty"), page: pageNumber(query.get("page")),
    };
    state.chosen = query.has("name")
      ? { name: query.get("name"), group: query.get("of") || "DEFAULT_GROUP", page: pageNumber(query.get("at")) } : null;
    const form = at("service-filter");
    form.elements.namespace.value = state.services.namespace;
    form.elements.group.value = state.services.group;
    form.elements.service.value = state.services.service;
    form.elements.hideEmpty.checked = state.services.hideEmpty;
  }
  if (state.view === "clients") {
    state.client = query.get("client");
  }
}

function showView() {
  for (const view of Object.keys(VIEWS)) {
    at(`view-${view}`).hidden = view !== state.view;
  }
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.getAttribute("href") === `#${state.view}`) {
      anchor.setAttribute("aria-current", "page");
    } else {
      anchor.removeAttribute("aria-current");
    }
  }
}

/* The state changed by a click: the address follows, and with it the page. */
function moved() {
  const hash = writeHash();
  if (hash !== location.hash) {
    location.hash = hash;
  } else {
    refresh();
  }
}

function arrived() {
  readHash();
  showView();
  refresh();
}

function speak(language) {
  state.language = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  at("language").textContent = language === "zh" ? "English" : "中文";
  for (const marked of document.querySelectorAll("[data-text]")) {
    marked.textContent = text(marked.dataset.text);
  }
}

function remembered() {
  try {
    return localStorage.getItem("nacre.language");
  } catch (error) {
    return null;
  }
}

function remember(language) {
  try {
    localStorage.setItem("nacre.language", language);
  } catch (error) {
    /* A browser that keeps nothing asks again next time. */
  }
}

function start() {
  at("host").textContent = location.host;
  const before = remembered();
  speak(before === "zh" || before === "en" ? before : navigator.language.startsWith("zh") ? "zh" : "en");
  at("language").addEventListener("click", () => {
    speak(state.language === "zh" ? "en" : "zh");
    remember(state.language);
    refresh();
  });
  at("service-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target.elements;
    state.services = {
      namespace: form.namespace.value.trim(), group: form.group.value.trim(), service: form.service.value.trim(),
      hideEmpty: form.hideEmpty.checked, page: 1,
    };
    state.chosen = null;
    moved();
  });
  at("instances-close").addEventListener("click", () => choose(null));
  at("client-filter").addEventListener("submit", (event) => event.preventDefault());
  at("client-filter").elements.contains.addEventListener("input", (event) => {
    state.clients.contains = event.target.value.trim();
    state.clients.page = 1;
    showClients();
  });
  at("client-close").addEventListener("click", () => {
    state.client = null;
    moved();
  });
  window.addEventListener("hashchange", arrived);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      refresh();
    }
  });
  setInterval(() => {
    if (!document.hidden) {
      refresh();
    }
  }, REFRESH_MS);
  arrived();
}

start();

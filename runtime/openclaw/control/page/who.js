// Whom the token speaks for, and the commands it may use.
import { Problem, json } from "./api.js";

const PROBES = { chat: "/api/sessions", approve: "/api/approvals", read: "/api/agents", operator: "/api/pairings" };

export async function who() {
  try {
    return await json("/api/me");
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error;
  }
  const scopes = await Promise.all(Object.entries(PROBES).map(([scope, path]) => json(path).then(() => scope).catch((error) => {
    if (error.code !== "scope") throw error;
  })));
  return { name: "", scopes: scopes.filter(Boolean), agents: null };
}

export async function commands() {
  return json("/api/commands").catch((error) => {
    if (error.status !== 404) throw error;
    return { commands: ["/help", "/new", "/agents", "/agent", "/tools", "/status", "/usage", "/compact", "/memory", "/stop"].map((name) => ({ name, help: "" })) };
  });
}

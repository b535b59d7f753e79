// Times, durations and counts in words. Law: pure but for the clock, which may be given, and the reader's own language
// for dates and figures.

const DAY = 86_400;

/** "in 3 h", "5 min ago", "now". */
export function relative(time, now = Date.now()) {
  const seconds = Math.round((new Date(time).getTime() - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  const [count, unit] =
    size < 60 ? [size, "s"] : size < 3600 ? [Math.round(size / 60), "min"] : size < 2 * DAY ? [Math.round(size / 3600), "h"] : [Math.round(size / DAY), "days"];
  return seconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

/** The reader's own clock: "Mon 30 Nov, 07:30". */
export function absolute(time) {
  return new Date(time).toLocaleString(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export function clock(time) {
  return new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

/** Seconds as people say them: "6 ms", "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "4 days". */
export function duration(seconds) {
  if (seconds < 0.1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / DAY)} days`;
}

/** What is left until `time`, as a clock: "4:32"; "0:00" once it is over. */
export function countdown(time, now = Date.now()) {
  const left = Math.max(0, Math.floor((new Date(time).getTime() - now) / 1000));
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor((left % 3600) / 60), left % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

/** A part of an address as it was meant; one that was typed wrong is as it was typed. */
export function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** `agent:main:http:operator` -> {agent: "main", place: "http · operator"}; a key of another shape is its own place. */
export function sessionWords(key) {
  const parts = key.split(":").map(decoded);
  if (parts[0] === "agent" && parts.length > 3) return { agent: parts[1], place: parts.slice(2).join(" · ") };
  if (parts[0] === "cron") return { agent: "", place: `heartbeat · ${parts.slice(1).join(" · ")}` };
  return { agent: "", place: key };
}

// Waiting. Law: a wait ends early when the person comes back to this tab, so that nothing seems stuck.

export function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    document.addEventListener("visibilitychange", back);
    function back() {
      if (!document.hidden) done();
    }
    function done() {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", back);
      resolve();
    }
  });
}

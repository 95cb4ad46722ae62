// Runs ahead of the scripts of a MiniWoB++ page, so that an episode depends on its seed alone:
// the day is a fixed one, and begin() writes the whole page anew with nothing left of the episode before.
(() => {
  if (window.agentloopEpisode) return;
  const NOON = Date.UTC(2016, 5, 1, 12), LONGEST = 2 ** 31 - 1;
  const RealDate = Date, known = new Set(Object.getOwnPropertyNames(window)), timers = [];
  let started = performance.now();

  const now = () => NOON + Math.floor(performance.now() - started);
  window.Date = new Proxy(RealDate, {
    apply: () => new RealDate(now()).toString(),
    construct: (target, given, made) => Reflect.construct(target, given.length ? given : [now()], made),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
  for (const [begin, end] of [['setTimeout', 'clearTimeout'], ['setInterval', 'clearInterval'],
                              ['requestAnimationFrame', 'cancelAnimationFrame']]) {
    const begun = window[begin], ended = window[end];
    window[begin] = (...given) => {
      const timer = begun.apply(window, given);
      timers.push(() => ended.call(window, timer));
      return timer;
    };
  }
  known.add('agentloopEpisode').add('Date');

  function forget() {
    for (const stop of timers.splice(0)) stop();
    for (const name of Object.getOwnPropertyNames(window)) {
      // a declared variable cannot be deleted; those of agents' tools are not the page's
      if (known.has(name) || /^\d+$/.test(name) || name.includes('agentloop') || name.includes('playwright')) continue;
      if (!delete window[name]) window[name] = undefined;
    }
    for (const store of [localStorage, sessionStorage]) store.clear();
    history.replaceState(null, '', location.pathname);
  }

  async function loaded() {
    if (document.readyState === 'complete') return;
    await new Promise((resolve) => window.addEventListener('load', () => setTimeout(resolve)));
  }

  async function rewrite() {
    episode.source ??= await (await fetch(location.pathname)).text();
    forget();
    await new Promise((resolve) => {
      document.open();
      window.addEventListener('load', () => setTimeout(resolve));  // behind the page's own onload
      document.write(episode.source);
      document.close();
    });
    window.scrollTo(0, 0);
  }

  const episode = { source: null, seed: null };
  episode.begin = async (seed) => {
    await (episode.seed === null ? loaded() : rewrite());
    episode.seed = seed;
    started = performance.now();
    core.EPISODE_MAX_TIME = LONGEST;
    core.countdownTimer = () => {};
    Math.seedrandom(seed);
    core.startEpisodeReal();
    return core.getUtterance();
  };
  episode.outcome = () => (episode.seed === null ? null : { done: WOB_DONE_GLOBAL, reward: WOB_RAW_REWARD_GLOBAL });
  window.agentloopEpisode = episode;
})();

// Looks at pages as Lighthouse does, on a phone, and prints its scores as JSON.
// Arguments: the address of a console, then paths. COOKIE is sent with each.
import { createRequire } from "node:module";
import lighthouse from "lighthouse";

const require = createRequire(import.meta.resolve("lighthouse"));
const { launch } = await import(require.resolve("chrome-launcher"));
const [base, ...paths] = process.argv.slice(2);

const chrome = await launch({ chromeFlags: ["--headless=new", "--disable-gpu", "--no-first-run", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])] });
const scores = [];

// look runs Lighthouse, again if the browser's trace was of no use: then it gives
// no score for performance.
async function look(url, attempts = 3) {
  const result = await lighthouse(url, {
    port: chrome.port,
    logLevel: "error",
    extraHeaders: { Cookie: process.env.COOKIE },
    onlyCategories: ["performance", "accessibility", "best-practices"],
  });
  if (result.lhr.categories.performance.score === null) {
    if (attempts > 1) return look(url, attempts - 1);
    throw new Error(`no score for ${url}: ${result.lhr.runtimeError?.message}`);
  }
  return result;
}

try {
  for (const path of paths) {
    const { lhr } = await look(base + path);
    const score = (name) => Math.round(100 * lhr.categories[name].score);
    scores.push({
      path,
      performance: score("performance"),
      accessibility: score("accessibility"),
      bestPractices: score("best-practices"),
      failed: ["accessibility", "best-practices"].flatMap((name) =>
        lhr.categories[name].auditRefs
          .map(({ id, weight }) => ({ id, weight, score: lhr.audits[id].score }))
          .filter((a) => a.weight > 0 && a.score !== null && a.score < 1)
          .map((a) => a.id),
      ),
    });
  }
} finally {
  await chrome.kill();
}
console.log(JSON.stringify(scores));

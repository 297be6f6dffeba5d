/**
 * Asks for health and for an admin's route in turn, in a process of its own, so that what the load costs its client is
 * not counted. `node probe.ts URL TOKEN MILLISECONDS` prints the milliseconds of each, as JSON.
 */
const [url = '', token = '', milliseconds = ''] = process.argv.slice(2);
const end = performance.now() + Number(milliseconds);
const times: number[] = [];
while (performance.now() < end) {
  for (const path of ['/healthz', '/v1/principals']) {
    const start = performance.now();
    const answer = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    times.push(performance.now() - start);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log(JSON.stringify(times.toSorted((a, b) => a - b)));

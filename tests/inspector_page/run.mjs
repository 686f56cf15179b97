// Runs the cases of the inspector's page in one Chromium, one after the other. `mod.rs` starts
// the servers, and says where they are in the variable INSPECTOR. Prints a line for each case.
//
// Only some of them: INSPECTOR_CASES=hostile,axe cargo test --release --test suite inspector_page

import { readdirSync } from 'node:fs';
import { Inspector } from './harness.mjs';

const only = (process.env.INSPECTOR_CASES ?? '').split(',').filter(Boolean);
const inspector = await Inspector.start(JSON.parse(process.env.INSPECTOR));
let failures = 0;
for (const file of readdirSync(new URL('cases/', import.meta.url)).sort()) {
  const cases = await import(`./cases/${file}`);
  for (const [name, run] of Object.entries(cases)) {
    if (only.length && !only.some((one) => name.includes(one) || file.includes(one))) continue;
    const begin = performance.now();
    try {
      await run(inspector);
      await inspector.finish();
      console.log(`ok ${name} (${Math.round(performance.now() - begin)} ms)`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED ${name}: ${error.stack}`);
      await inspector.finish().catch((more) => console.log(`  and ${more.message}`));
    }
  }
}
await inspector.stop();
process.exit(failures ? 1 : 0);

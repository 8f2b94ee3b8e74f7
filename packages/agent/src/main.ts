/** The agent as a process of its own: node packages/agent/dist/main.js --url ... --key ... */
import { runAgent } from './run.ts';

process.exitCode = await runAgent(process.argv.slice(2));

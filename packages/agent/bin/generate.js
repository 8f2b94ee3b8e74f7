// Writes docs/reference/agent.md from the tables of settings: node packages/agent/bin/generate.js (after a build).
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { agentPage } from '../dist/host/config-page.js';

writeFileSync(fileURLToPath(new URL('../../../docs/reference/agent.md', import.meta.url)), agentPage());

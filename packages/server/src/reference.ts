/** Files made from the code: bin/generate.js writes them, reference.test.ts holds them fresh. */
import { clientTypes } from './api/client-types.ts';
import { describeApi } from './api/description.ts';
import { cliPage } from './cli/page.ts';
import { settingsPage } from './config.ts';
import { errorsPage } from './errors.ts';

export interface GeneratedFile {
  /** From the root of the repository. */
  path: string;
  content: string;
}

export const generatedFiles = async (): Promise<GeneratedFile[]> => [
  { path: 'docs/reference/errors.md', content: errorsPage() },
  { path: 'docs/reference/cli.md', content: cliPage() },
  { path: 'docs/reference/settings.md', content: settingsPage() },
  { path: 'packages/client/src/generated.ts', content: clientTypes(await describeApi('0')) },
];

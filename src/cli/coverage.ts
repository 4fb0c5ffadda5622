import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import pc from 'picocolors';
import type { CoverageReportEntry } from '../client/coverage.ts';
import type { AcceptedReport } from '../domain/coverage-report.ts';
import { invalid } from '../domain/refusal.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { print, size, state, table, time } from './output.ts';

export function addCoverageCommands(program: Command): void {
  const noun = program.command('coverage').description('coverage reports of tracked repositories');

  addCommand(noun, 'submit <file>', 'send a report of LCOV or Cobertura; "-" reads it from stdin')
    .requiredOption('--repository <path>', 'whose it is, group/project')
    .requiredOption('--sha <id>', 'the commit that it is of, which need not be there yet')
    .action(async (file: string, options: CommonOptions & { repository: string; sha: string }) => {
      const { repository, sha } = options;
      const report = file === '-' ? process.stdin : readable(file);
      print(await withClient((client) => client.coverage.submit({ repository, sha, report })), options, renderAccepted);
    });

  addCommand(noun, 'list', 'the reports of a repository that came last, and what became of them')
    .requiredOption('--repository <path>', 'whose they are, group/project')
    .option('--limit <number>', 'how many at most', '50')
    .action(async ({ repository, limit, json }: CommonOptions & { repository: string; limit: string }) => {
      const reports = await withClient((client) => client.coverage.list(repository, { limit: Number(limit) }));
      print(reports, { json }, renderList);
    });
}

async function* readable(file: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(file)) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'syscall' in error)
      throw invalid('report', `the file "${file}" cannot be read (${String(error.code)})`);
    throw error;
  }
}

const SHA_SHOWN = 10;

function renderAccepted({ reportId, sha, state: its, heldUntil }: AcceptedReport): string {
  const commit = sha.slice(0, SHA_SHOWN);
  if (its === 'queued') return `${pc.green('Taken')}: report ${reportId} of ${commit} is processed next.`;
  return `${pc.yellow('Held')}: report ${reportId} waits for the commit ${commit}, until ${time(heldUntil)}.`;
}

function renderList(reports: CoverageReportEntry[]): string {
  return table(
    ['REPORT', 'COMMIT', 'SIZE', 'STATE', 'RECEIVED', ''],
    reports.map((report) => [
      String(report.id),
      report.sha.slice(0, SHA_SHOWN),
      size(report.sizeBytes),
      state(report.state),
      time(report.receivedAt),
      report.heldUntil === null ? (report.problem ?? '') : `until ${time(report.heldUntil)}`,
    ]),
    'No reports have come; "forgeflow coverage submit" sends one, and so does CI with "forgeflow repositories token".',
  );
}

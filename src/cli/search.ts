import type { Command } from 'commander';
import pc from 'picocolors';
import type { SearchResult, SearchResults } from '../client/search.ts';
import { foldCase, parseSearch, type SearchTerm } from '../domain/search-terms.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { print } from './output.ts';

interface SearchCommandOptions extends CommonOptions {
  repository?: string;
  limit: string;
}

export function addSearchCommand(program: Command): void {
  addCommand(program, 'search <terms...>', 'find code: files that have all terms, in their path or their text')
    .option('--repository <path>', 'only in this one, group/project')
    .option('--limit <number>', 'how many at most', '20')
    .addHelpText(
      'after',
      '\nUpper and lower case are the same. Quotes within the quotes keep a phrase together: \'"to do" later\'',
    )
    .action(async (words: string[], { repository, limit, json }: SearchCommandOptions) => {
      const query = words.join(' ');
      const found = await withClient((client) => client.search(query, { repository, limit: Number(limit) }));
      print(found, { json }, (results) => renderResults(results, query));
    });
}

/** As `git grep` prints: the path, the line's number, the line; under the names of repositories. */
export function renderResults({ results, truncated }: SearchResults, query: string): string {
  if (results.length === 0)
    return truncated ? 'Nothing was found in time; another term would help.' : 'Nothing matches.';
  const terms = parseSearch(query);
  const repositories = [...new Set(results.map(({ repository }) => repository))];
  const parts = repositories.map((name) => {
    const found = results.filter(({ repository }) => repository === name);
    return [pc.bold(name), ...found.map((result) => renderResult(result, terms))].join('\n');
  });
  if (truncated) parts.push(pc.dim('There is more: another term narrows it down, --limit shows more of it.'));
  return parts.join('\n\n');
}

function renderResult({ path, line, excerpt }: SearchResult, terms: readonly SearchTerm[]): string {
  const shownPath = path.replace(/\p{Cc}/gu, '\ufffd'); // a terminal would obey them
  if (line === null || excerpt === null) return highlighted(shownPath, terms, pc.magenta);
  return [pc.magenta(shownPath), pc.green(String(line)), ` ${highlighted(excerpt, terms, (text) => text)}`].join(
    pc.cyan(':'),
  );
}

/** The text with all that matches a term in red, and the rest as it is to be. */
function highlighted(text: string, terms: readonly SearchTerm[], rest: (text: string) => string): string {
  const folded = foldCase(text);
  let shown = '';
  let at = 0;
  while (at < text.length) {
    const matches = terms.flatMap(({ folded: term }) => {
      const start = folded.indexOf(term, at);
      return start === -1 ? [] : { start, end: start + term.length };
    });
    // Of those that begin at the same place, the longest.
    const [next] = matches.sort((a, b) => a.start - b.start || b.end - a.end);
    if (next === undefined) break;
    if (next.start > at) shown += rest(text.slice(at, next.start));
    shown += pc.bold(pc.red(text.slice(next.start, next.end)));
    at = next.end;
  }
  return at < text.length ? shown + rest(text.slice(at)) : shown;
}

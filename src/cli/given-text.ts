import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { invalid } from '../domain/refusal.ts';

/**
 * The text that an option means: itself, `@file` for what stands in a file, `-` for stdin.
 * @param field the option's name, for what is wrong with it
 * @throws Refusal of a file that cannot be read, and of bytes that are not UTF-8: replaced, they would be something else
 */
export async function readGiven(field: string, given: string): Promise<string> {
  if (given === '-') return decode(field, await buffer(process.stdin));
  if (!given.startsWith('@')) return given;
  try {
    return decode(field, readFileSync(given.slice(1)));
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      throw invalid(field, `the file "${given.slice(1)}" cannot be read (${String(error.code)})`);
    throw error;
  }
}

function decode(field: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid(field, 'it is not UTF-8');
  }
}

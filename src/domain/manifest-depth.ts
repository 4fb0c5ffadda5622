import { CST, Lexer } from 'yaml';

/** Deeper than any manifest. The parser calls itself for each level, and takes its time to find that its stack is full. */
const DEEPEST = 16;

/**
 * Where in a text of YAML brackets, or dashes and question marks of one line, are nested too deeply; null: nowhere. What is nested by its
 * indentation alone needs too many spaces for that.
 */
export function tooDeepAt(text: string): number | null {
  let brackets = 0;
  let indicators = 0;
  let offset = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-seq-start' || type === 'flow-map-start') brackets++;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') brackets--;
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind') indicators++;
    else if (type === 'newline') indicators = 0;
    if (brackets > DEEPEST || indicators > DEEPEST) return offset;
    // Marks of where a document begins and where text without quotes does are no part of the text.
    if (type !== 'doc-mode' && type !== 'flow-error-end' && type !== 'scalar') offset += token.length;
  }
  return null;
}

/** A member of a JSON object, its value as the text that it was written in. */
export interface Member {
  name: string;
  valueText: string;
}

/**
 * Takes a JSON object apart into its members without reading their values, in which JSON.parse would round large
 * numbers.
 * @param text a JSON object; it must be valid, which is not checked
 */
export function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let depth = 0;
  let inString = false;
  let name: string | undefined;
  let pieceStart = 0;
  const endMember = (end: number): void => {
    if (name !== undefined) members.push({ name, valueText: text.slice(pieceStart, end).trim() });
    name = undefined;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') {
      inString = true;
    } else if (character === '{' || character === '[') {
      depth++;
      if (depth === 1) pieceStart = at + 1;
    } else if (character === '}' || character === ']') {
      if (depth === 1) endMember(at);
      depth--;
    } else if (depth === 1 && character === ':') {
      name = JSON.parse(text.slice(pieceStart, at)) as string;
      pieceStart = at + 1;
    } else if (depth === 1 && character === ',') {
      endMember(at);
      pieceStart = at + 1;
    }
  }
  return members;
}

/** Cuts what git prints with `-z` into its parts, without the NUL after each; a last part without one is given as well. */
export async function* nulRecords(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(0); to !== -1; to = chunk.indexOf(0, from)) {
      const part = chunk.subarray(from, to);
      yield begun.length === 0 ? part : Buffer.concat([...begun, part]);
      begun = [];
      from = to + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

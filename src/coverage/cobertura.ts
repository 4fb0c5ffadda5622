import sax from 'sax';
import { addHits, type CollectedLines, type LineHits, lineOf, LONGEST_PATH } from './collected-lines.ts';
import { CoverageError } from './coverage-error.ts';

/** More than any report has; the parser keeps every open element, and all attributes of one. */
const DEEPEST = 64;
const MOST_ATTRIBUTES = 64;
/** Each of them may be where each file is. */
const SOURCES_LIMIT = 200;

/** A class, while it is read: what its own list of lines has, and what those of its methods have. */
interface OpenClass {
  file: LineHits;
  own: LineHits;
  ofMethods: LineHits;
}

/**
 * Reads Cobertura's XML, piece by piece, as a stream of elements: nothing of it is kept but the lines. The document type
 * is passed over, nothing outside is ever read, and no entities are known but XML's own five.
 */
export class CoberturaReader {
  readonly #collected: CollectedLines;
  readonly #parser = sax.parser(true, { trim: true });
  readonly #open: string[] = [];
  #attributes = 0;
  #class: OpenClass | null = null;
  #source = '';
  #rootAt: number | null = null;
  #hasPackages = false;

  constructor(collected: CollectedLines) {
    this.#collected = collected;
    const parser = this.#parser;
    parser.onerror = (error) => {
      throw this.#error(`this is not well-formed XML (${firstLine(error.message)})`);
    };
    parser.onprocessinginstruction = ({ name, body }) => {
      if (name === 'xml') this.#checkEncoding(body);
    };
    parser.onopentagstart = () => (this.#attributes = 0);
    parser.onattribute = () => {
      if (++this.#attributes > MOST_ATTRIBUTES) throw this.#error('the element has too many attributes');
    };
    parser.onopentag = ({ name, attributes }) => {
      this.#opened(name, attributes as Record<string, string>);
    };
    parser.onclosetag = () => {
      this.#closed();
    };
    parser.ontext = parser.oncdata = (text) => {
      if (this.#open.at(-1) !== 'source') return;
      this.#source += text;
      if (this.#source.length > LONGEST_PATH) throw this.#error('the name of the source folder has no end');
    };
  }

  /** @throws CoverageError */
  write(text: string): void {
    this.#parser.write(text);
  }

  /** @throws CoverageError */
  end(): void {
    this.#parser.close();
    // Clover's XML and Sonar's begin with the same element.
    if (!this.#hasPackages) {
      throw new CoverageError(this.#rootAt ?? 1, 'this is not Cobertura: there are no <packages> in its <coverage>');
    }
  }

  #opened(name: string, attributes: Record<string, string>): void {
    if (this.#open.length === 0) {
      if (this.#rootAt !== null) throw this.#error('a second report begins here, after the end of the first');
      this.#rootAt = this.#line();
      if (name !== 'coverage') {
        throw this.#error('this is neither LCOV nor Cobertura, whose first element is <coverage>');
      }
    }
    if (this.#open.push(name) > DEEPEST) throw this.#error('the elements are nested too deeply');
    if (name === 'packages') this.#hasPackages = true;
    else if (name === 'source') this.#source = '';
    else if (name === 'class') {
      const file = this.#collected.file((attributes['filename'] ?? '').trim(), this.#line());
      this.#class = { file, own: this.#collected.newLines(), ofMethods: this.#collected.newLines() };
    } else if (name === 'line' && this.#class !== null) {
      const line = lineOf(attributes['number'] ?? '', attributes['hits'] ?? '', this.#line());
      if (line === null) return;
      addHits(this.#open.includes('method') ? this.#class.ofMethods : this.#class.own, line.number, line.hits);
    }
  }

  #closed(): void {
    const name = this.#open.pop();
    if (name === 'source' && this.#source.trim() !== '') this.#addSource(this.#source.trim());
    if (name !== 'class' || this.#class === null) return;
    // Those of the methods are in the class's own list once more; where they are not, it is a tool that counts statements
    // and names the method's first line only for its sake (Istanbul), or one that has no list but theirs.
    const { file, own, ofMethods } = this.#class;
    for (const [number, hits] of own.size > 0 ? own : ofMethods) addHits(file, number, hits);
    this.#class = null;
  }

  #addSource(source: string): void {
    if (this.#collected.sources.length === SOURCES_LIMIT)
      throw this.#error(`there are more than ${SOURCES_LIMIT} sources`);
    this.#collected.sources.push(source);
  }

  #checkEncoding(declaration: string): void {
    const encoding = /\bencoding\s*=\s*["']([^"']*)["']/.exec(declaration)?.[1] ?? 'utf-8';
    if (!/^(?:utf-?8|us-ascii|ascii)$/i.test(encoding)) {
      throw this.#error('the report has another encoding than UTF-8');
    }
  }

  /** Where the parser is, which is at the end of an element. */
  #line(): number {
    return this.#parser.line + 1;
  }

  #error(problem: string): CoverageError {
    return new CoverageError(this.#line(), problem);
  }
}

function firstLine(message: string): string {
  return (
    message
      .split('\n', 1)[0]
      ?.slice(0, 100)
      .replace(/\p{Cc}/gu, '\ufffd') ?? ''
  );
}

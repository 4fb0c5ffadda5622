import { isSystemTopic } from './topic-pattern.ts';

/** Who is to be told of events: whatever is known of it, with its patterns. */
export interface Interested {
  patterns: readonly string[];
}

/**
 * An index of topic patterns by their tokens. Matching walks along the topic's tokens instead of trying each pattern, so
 * that it costs the same with ten patterns and with ten thousand. Valid patterns and topics are taken for granted.
 */
export class TopicMatcher<T extends Interested> {
  readonly #root: Node<T> = newNode();

  constructor(interested: Iterable<T>) {
    for (const one of interested) for (const pattern of one.patterns) this.#add(pattern, one);
  }

  /** Everyone with a pattern that matches, each once. Topics of the system reach only who asks for them by name. */
  match(topic: string): Set<T> {
    const found = new Set<T>();
    const tokens = topic.split('.');
    if (isSystemTopic(topic)) {
      const system = this.#root.children.get(tokens[0] ?? '');
      if (system !== undefined) collect(system, tokens, 1, found);
    } else {
      collect(this.#root, tokens, 0, found);
    }
    return found;
  }

  #add(pattern: string, one: T): void {
    const tokens = pattern.split('.');
    const openEnded = tokens.at(-1) === '>';
    if (openEnded) tokens.pop();
    let node = this.#root;
    for (const token of tokens) {
      let next = node.children.get(token);
      if (next === undefined) node.children.set(token, (next = newNode()));
      node = next;
    }
    (openEnded ? node.further : node.here).push(one);
  }
}

interface Node<T> {
  /** By the next token; `*` stands for any one. A topic has no such token, so the two cannot be mixed up. */
  children: Map<string, Node<T>>;
  /** Whose pattern ends here. */
  here: T[];
  /** Whose pattern goes on with `>`. */
  further: T[];
}

function newNode<T>(): Node<T> {
  return { children: new Map(), here: [], further: [] };
}

function collect<T>(node: Node<T>, tokens: string[], depth: number, found: Set<T>): void {
  const token = tokens[depth];
  if (token === undefined) {
    for (const one of node.here) found.add(one);
    return;
  }
  for (const one of node.further) found.add(one);
  const exact = node.children.get(token);
  if (exact !== undefined) collect(exact, tokens, depth + 1, found);
  const any = node.children.get('*');
  if (any !== undefined) collect(any, tokens, depth + 1, found);
}

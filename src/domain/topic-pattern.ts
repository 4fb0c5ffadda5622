import { invalid } from './refusal.ts';

const LONGEST = 255;

/**
 * Checks the name of a topic: dotted, non-empty tokens without white space or wildcards, 255 characters at most.
 * @throws Refusal naming the token at fault
 */
export function checkTopic(topic: string): string {
  checkTokens('topic', topic);
  for (const [index, token] of topic.split('.').entries()) {
    if (token === '*' || token === '>') {
      throw invalid(
        'topic',
        `token ${index + 1} of "${topic}" is the wildcard "${token}"; only patterns have wildcards`,
      );
    }
  }
  return topic;
}

/**
 * Checks a topic pattern: like a topic, where the token `*` stands for exactly one token and a final `>` for one or more.
 * @throws Refusal naming the token at fault
 */
export function checkPattern(pattern: string): string {
  checkTokens('pattern', pattern);
  const tokens = pattern.split('.');
  for (const [index, token] of tokens.entries()) {
    if (token === '>' && index < tokens.length - 1) {
      throw invalid('pattern', `token ${index + 1} of "${pattern}" is ">", which may only come last`);
    }
  }
  return pattern;
}

/**
 * What forgeflow says of itself (`system.webhook.health` …) reaches only patterns whose first token is `system`: whoever
 * asks for everything, by `>`, means what happens in the forge.
 */
export function isSystemTopic(topic: string): boolean {
  return topic.startsWith('system.');
}

function checkTokens(field: string, text: string): void {
  if (text === '') throw invalid(field, 'it is empty');
  if (text.length > LONGEST) throw invalid(field, `it has ${text.length} characters; ${LONGEST} at most`);
  for (const [index, token] of text.split('.').entries()) {
    if (token === '') throw invalid(field, `token ${index + 1} of "${text}" is empty`);
    if (/[\s\u0000-\u001f\u007f]/.test(token)) {
      throw invalid(field, `token ${index + 1} of ${JSON.stringify(text)} has white space or a control character`);
    }
    if (/\p{Surrogate}/u.test(token)) {
      throw invalid(
        field,
        `token ${index + 1} of ${JSON.stringify(text)} has half a character, which UTF-8 cannot carry`,
      );
    }
    if (token.length > 1 && /[*>]/.test(token)) {
      throw invalid(field, `token ${index + 1} of "${text}", "${token}", mixes a wildcard with other characters`);
    }
  }
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hookUrl, isSameUrl } from '../../src/domain/hook-url.ts';

describe('G8: the address of hooks', () => {
  test.each([
    ['https://hooks.example.com', 'https://hooks.example.com/gitlab/events'],
    ['https://hooks.example.com/', 'https://hooks.example.com/gitlab/events'],
    ['https://example.com/forgeflow//', 'https://example.com/forgeflow/gitlab/events'],
    ['http://127.0.0.1:8088', 'http://127.0.0.1:8088/gitlab/events'],
  ])('of %s is %s', (ingressUrl, url) => {
    expect(hookUrl(ingressUrl)).toBe(url);
  });
});

describe('G3: whether a hook has our address', () => {
  const ours = 'https://hooks.example.com/gitlab/events';

  test.each([
    ours,
    'HTTPS://Hooks.Example.COM/gitlab/events',
    'https://hooks.example.com:443/gitlab/events',
    'https://hooks.example.com/a/../gitlab/events',
    `${ours}#anchor`,
  ])('it has: %s', (url) => {
    expect(isSameUrl(url, ours)).toBe(true);
  });

  test.each([
    'http://hooks.example.com/gitlab/events',
    'https://hooks.example.com:8443/gitlab/events',
    'https://hooks.example.com/GitLab/events',
    `${ours}/`, // another path, which the ingress answers with 404
    `${ours}?token=x`,
    'https://example.com/gitlab/events',
    'not a url',
    '',
  ])('it has not: %s', (url) => {
    expect(isSameUrl(url, ours)).toBe(false);
  });

  test('is never an error, and the same text is the same address', () => {
    fc.assert(fc.property(fc.string(), (text) => isSameUrl(text, text)));
    fc.assert(fc.property(fc.string(), (text) => !isSameUrl(text, ours)));
  });
});

import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import { checkTargetUrl, createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';

const guard = createAddressGuard([]);
const sender = createSender({ guard, timeoutMs: 500 });

function refusalOf(url: string): Refusal {
  try {
    checkTargetUrl(url, guard);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error(`${url} was not refused`);
}

async function reasonAtDelivery(url: string): Promise<string> {
  const outcome = await sender.post({ url, headers: {}, body: '{}' });
  return outcome.kind === 'connection_error' ? outcome.reason : `answered ${outcome.statusCode}`;
}

describe('the URL of a subscription', () => {
  test.each([
    ['https://example.com/hook?a=1#part', 'https://example.com/hook?a=1'],
    ['HTTP://Example.COM:80', 'http://example.com/'],
    ['https://príklad.sk/', 'https://xn--prklad-4va.sk/'],
    ['http://8.8.8.8:8080/x', 'http://8.8.8.8:8080/x'],
    ['http://[2606:4700:4700::1111]/', 'http://[2606:4700:4700::1111]/'],
  ])('D11: %s is fine, in its normal form', (url, normal) => {
    expect(checkTargetUrl(url, guard)).toBe(normal);
  });

  test.each([
    [
      'not a URL',
      ['', 'example.com', '/hook', 'https://', 'http://[::1', 'http://exa mple.com', 'http://a:99999/'],
      'it is not a URL',
    ],
    [
      'the scheme',
      ['ftp://example.com/', 'file:///etc/passwd', 'javascript:alert(1)', 'unix:/run/x.sock'],
      'only http and https are allowed',
    ],
    [
      'credentials',
      ['https://ann:pa55word@example.com/', 'https://pa55word@example.com/', 'http://:pa55word@example.com/'],
      'it contains credentials',
    ],
  ])('D11: refused at creation and at delivery, naming the rule: %s', async (_, urls, rule) => {
    for (const url of urls) {
      const { message, field } = refusalOf(url);
      expect(message).toContain(rule);
      expect(message).not.toContain('pa55word');
      expect(field).toBe('url');
      expect(await reasonAtDelivery(url)).toContain(`URL not allowed: ${message.slice('url: '.length)}`);
    }
  });

  test.each([
    ['plain', 'http://127.0.0.1/', 'http://10.0.0.1:8080/x', 'http://169.254.169.254/latest/meta-data'],
    ['octal', 'http://0177.0.0.1/', 'http://017700000001/'],
    ['hexadecimal', 'http://0x7f.0.0.1/', 'http://0x7f000001/', 'http://0xA9FEA9FE/'],
    ['decimal', 'http://2130706433/', 'http://2852039166/'],
    ['short', 'http://127.1/', 'http://10.1/', 'http://0/'],
    [
      'other digits, encoded, dotted',
      'http://１２７.0.0.1/',
      'http://%31%32%37.0.0.1/',
      'http://127.0.0.1./',
      'http://127。0。0。1/',
    ],
    [
      'IPv6',
      'http://[::1]/',
      'http://[::]/',
      'http://[fe80::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[64:ff9b::7f00:1]/',
    ],
    ['names that mean this machine', 'http://localhost/', 'http://LOCALHOST:8080/'],
  ])('D11: an address that is not public is refused at creation and at delivery, written %s', async (_, ...urls) => {
    for (const url of urls) {
      expect(refusalOf(url).message, url).toMatch(/^url: address not allowed: \S+ is not a public address/);
      expect(await reasonAtDelivery(url), url).toBe('address not allowed');
    }
  });

  test('D11: so is every name under localhost at creation; at delivery it depends on what it resolves to', () => {
    expect(refusalOf('http://a.localhost/').message).toMatch(/^url: address not allowed: 127\.0\.0\.1 /);
  });

  test('D11: an allowed network opens its addresses here as well', () => {
    const open = createAddressGuard(['127.0.0.0/8']);
    expect(checkTargetUrl('http://2130706433:8080/', open)).toBe('http://127.0.0.1:8080/');
    expect(checkTargetUrl('http://localhost/', open)).toBe('http://localhost/');
  });
});

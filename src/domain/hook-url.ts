/** Where GitLab's hooks post to. @param ingressUrl as others reach the ingress: `https://hooks.example.com` */
export function hookUrl(ingressUrl: string): string {
  return `${ingressUrl.replace(/\/+$/, '')}/gitlab/events`;
}

/** Whether two addresses are the same one, however they are written; of what is no URL, only the same text is. */
export function isSameUrl(a: string, b: string): boolean {
  return normalised(a) === normalised(b);
}

function normalised(url: string): string {
  try {
    const parsed = new URL(url);
    parsed.hash = '';
    return parsed.href;
  } catch {
    return url;
  }
}

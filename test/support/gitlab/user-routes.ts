import { forbidden, ok, refusal } from './answer.ts';
import { type Call, type Route, take } from './call.ts';
import { offsetPage, PAGE_PARAMETERS } from './pagination.ts';
import { userJson } from './place-json.ts';
import type { User } from './places.ts';

/** Users, and their emails, which administrators alone are shown. */
export const userRoutes: Route[] = [
  { method: 'GET', path: '/users/:id', scopes: ['read_user'], work: show },
  { method: 'GET', path: '/users/:id/emails', scopes: ['read_user'], work: listEmails },
];

function show(call: Call) {
  take(call, { with_custom_attributes: { type: 'boolean' } });
  const user = userIn(call);
  return ok({
    ...userJson(user, call),
    public_email: user.publicEmail ?? '',
    ...(call.user.admin && {
      email: user.emails[0]?.email ?? '',
      confirmed_at: user.emails[0]?.confirmedAt ?? null,
      commit_email: user.commitEmail ?? user.emails[0]?.email ?? '',
    }),
  });
}

/** Without the primary one, which is the first. */
function listEmails(call: Call) {
  if (!call.user.admin) throw forbidden();
  const values = take(call, PAGE_PARAMETERS);
  const others = userIn(call)
    .emails.slice(1)
    .map(({ email, confirmedAt }, index) => ({ id: index + 1, email, confirmed_at: confirmedAt }));
  const { items, headers } = offsetPage(others, values, call.pageUrl);
  return ok(items, headers);
}

function userIn({ world, segments }: Call): User {
  const id = segments['id'] ?? '';
  const user = /^\d+$/.test(id) ? world.users.get(Number(id)) : undefined;
  if (user === undefined) throw refusal(404, '404 User Not Found');
  return user;
}

import { grapeRefusal, ok, recordNotFound } from './answer.ts';
import { allMembersOf, levelOf } from './access.ts';
import { ownerIn, take, type Call, type Route } from './call.ts';
import type { OwnerKind } from './hook-events.ts';
import { offsetPage, PAGE_PARAMETERS } from './pagination.ts';
import { userJson } from './place-json.ts';
import type { User } from './places.ts';

/** Members, the inherited and the invited ones among them. */
export function memberRoutes(kind: OwnerKind): Route[] {
  return [
    { method: 'GET', path: `/${kind}s/:id/members/all`, work: (call) => list(call, kind) },
    { method: 'GET', path: `/${kind}s/:id/members/all/:user_id`, work: (call) => show(call, kind) },
  ];
}

function list(call: Call, kind: OwnerKind) {
  const owner = ownerIn(call, kind);
  const values = take(call, { ...PAGE_PARAMETERS, query: { type: 'string' }, user_ids: { type: 'string' } });
  const wanted = typeof values['user_ids'] === 'string' ? values['user_ids'].split(',').map(Number) : undefined;
  const members = [...allMembersOf(owner)]
    .sort(([a], [b]) => a - b)
    .flatMap(([userId, level]) => {
      const user = call.world.users.get(userId);
      const listed = user !== undefined && (wanted?.includes(userId) ?? true);
      return listed ? [memberJson(user, level, call)] : [];
    });
  const { items, headers } = offsetPage(members, values, call.pageUrl);
  return ok(items, headers);
}

function show(call: Call, kind: OwnerKind) {
  const owner = ownerIn(call, kind);
  take(call, {});
  const id = call.segments['user_id'] ?? '';
  if (!/^\d+$/.test(id)) throw grapeRefusal(400, 'user_id is invalid');
  const user = call.world.users.get(Number(id));
  const level = levelOf(Number(id), owner);
  if (user === undefined || level === 0) throw recordNotFound();
  return ok(memberJson(user, level, call));
}

const memberJson = (user: User, level: number, call: Call) => ({
  ...userJson(user, call),
  access_level: level,
  expires_at: null,
  membership_state: 'active',
});

import { created, grapeRefusal, noContent, ok, recordNotFound } from './answer.ts';
import { demand, ownerIn, take, type Call, type Route } from './call.ts';
import type { OwnerKind } from './hook-events.ts';
import { hookJson, hookParameters } from './hook-fields.ts';
import { checkFields, checkLimit } from './hook-rules.ts';
import { testHook } from './hook-test.ts';
import { changeHook, newHook, type Hook, type HookFields } from './hook.ts';
import { offsetPage, PAGE_PARAMETERS } from './pagination.ts';
import { hasGroupHookApi, isSince } from './settings.ts';
import { MAINTAINER, OWNER, type Owner } from './places.ts';

/** The webhooks of projects, or of groups, which only owners may touch and only some editions have. */
export function hookRoutes(kind: OwnerKind): Route[] {
  const routes: Route[] = [
    { method: 'GET', path: '/hooks', work: (call) => list(call, manageable(call, kind)) },
    { method: 'POST', path: '/hooks', work: (call) => add(call, manageable(call, kind)) },
    { method: 'GET', path: '/hooks/:hook_id', work: (call) => ok(show(hookIn(call, kind), call)) },
    { method: 'PUT', path: '/hooks/:hook_id', work: (call) => edit(call, hookIn(call, kind)) },
    { method: 'DELETE', path: '/hooks/:hook_id', work: (call) => remove(call, hookIn(call, kind)) },
    {
      method: 'POST',
      path: '/hooks/:hook_id/test/:trigger',
      exists: ({ settings }) => isSince(settings, kind === 'project' ? '16.11' : '17.1'),
      work: (call) => testHook(call, () => hookIn(call, kind)),
    },
    {
      method: 'PUT',
      path: '/hooks/:hook_id/custom_headers/:key',
      exists: described,
      work: (call) => setHeader(call, kind),
    },
    {
      method: 'DELETE',
      path: '/hooks/:hook_id/custom_headers/:key',
      exists: described,
      work: (call) => unsetHeader(call, kind),
    },
  ];
  return routes.map((route) => ({
    ...route,
    path: `/${kind}s/:id${route.path}`,
    exists: (within) =>
      (kind === 'project' || hasGroupHookApi(within.settings)) && (route.exists === undefined || route.exists(within)),
  }));
}

const described: NonNullable<Route['exists']> = ({ settings }) => isSince(settings, '17.1');

/** @throws Refusal 404, 403 */
function manageable(call: Call, kind: OwnerKind): Owner {
  const owner = ownerIn(call, kind);
  demand(call, kind === 'project' ? MAINTAINER : OWNER, owner);
  return owner;
}

/** @throws Refusal 404, 403, 400 */
function hookIn(call: Call, kind: OwnerKind): Hook {
  const owner = manageable(call, kind);
  const id = call.segments['hook_id'] ?? '';
  if (!/^\d+$/.test(id)) throw grapeRefusal(400, 'hook_id is invalid');
  const hook = owner.hooks.find((one) => one.id === Number(id));
  if (hook === undefined) throw recordNotFound();
  return hook;
}

const show = (hook: Hook, { within: { settings, clock } }: Call) => hookJson(hook, settings, clock.now());

function list(call: Call, owner: Owner) {
  const page = offsetPage(owner.hooks, take(call, PAGE_PARAMETERS), call.pageUrl);
  const { settings, clock } = call.within;
  return ok(
    page.items.map((hook) => hookJson(hook, settings, clock.now(), { inList: true })),
    page.headers,
  );
}

function add(call: Call, owner: Owner) {
  const { settings, clock } = call.within;
  const known = hookParameters(owner.kind);
  const fields = take(call, { ...known, url: { type: 'string', required: true } }) as Partial<HookFields>;
  checkFields(fields, settings, { making: true });
  checkLimit(owner, settings);
  const hook = newHook(call.world.nextHookId(), owner, clock.now(), fields as HookFields);
  owner.hooks.push(hook);
  return created(show(hook, call));
}

function edit(call: Call, hook: Hook) {
  const fields = take(call, hookParameters(hook.owner.kind)) as Partial<HookFields>;
  if (Object.keys(fields).length === 0) throw grapeRefusal(400, 'No parameters provided');
  checkFields(fields, call.within.settings, { making: false });
  if (fields.custom_headers !== undefined) fields.custom_headers = { ...hook.custom_headers, ...fields.custom_headers };
  changeHook(hook, fields);
  return ok(show(hook, call));
}

function remove(call: Call, { id, owner }: Hook) {
  take(call, {});
  owner.hooks = owner.hooks.filter((hook) => hook.id !== id);
  return noContent();
}

function setHeader(call: Call, kind: OwnerKind) {
  const hook = hookIn(call, kind);
  const { value } = take(call, { value: { type: 'string', required: true } });
  const headers = { ...hook.custom_headers, [call.segments['key'] ?? '']: String(value) };
  checkFields({ custom_headers: headers }, call.within.settings, { making: false });
  hook.custom_headers = headers;
  return noContent();
}

function unsetHeader(call: Call, kind: OwnerKind) {
  const hook = hookIn(call, kind);
  const { [call.segments['key'] ?? '']: gone, ...rest } = hook.custom_headers;
  if (gone === undefined) throw recordNotFound();
  hook.custom_headers = rest;
  return noContent();
}

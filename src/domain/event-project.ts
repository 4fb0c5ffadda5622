import { z } from 'zod';

// Whatever else is in these places is for whoever reads the event.
const id = z.number().optional().catch(undefined);
const places = z.object({
  project_id: id,
  project: z.object({ id }).optional().catch(undefined),
  object_attributes: z.object({ target_project_id: id }).optional().catch(undefined),
});

/**
 * GitLab's ids of the projects that an event says it is of: one, where it is as documented; none for events of groups and
 * users.
 */
export function projectsOf(payload: object): number[] {
  const { project_id, project, object_attributes } = places.parse(payload);
  const named = [project_id, project?.id, object_attributes?.target_project_id];
  return [...new Set(named.filter((one) => one !== undefined))];
}

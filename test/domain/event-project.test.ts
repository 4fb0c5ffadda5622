import { expect, test } from 'vitest';
import { projectsOf } from '../../src/domain/event-project.ts';

test.each([
  [{ object_kind: 'push', project_id: 15, project: { id: 15 } }, [15]],
  [{ object_kind: 'pipeline', project: { id: 15 } }, [15]],
  [{ object_kind: 'merge_request', project: { id: 15 }, object_attributes: { target_project_id: 16 } }, [15, 16]],
  [{ event_name: 'project_destroy', project_id: 15 }, [15]],
  [{ event_name: 'user_add_to_group', group_id: 3 }, []],
  [{ project_id: '15', project: null, object_attributes: [] }, []],
])('E13: %j is of %j', (payload, projects) => {
  expect(projectsOf(payload)).toEqual(projects);
});

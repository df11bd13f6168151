-- A custody file that gives another day of release is told, and can be withdrawn.

update event_kind set meaning = 'the day of a release is known, and was not before' where kind = 'release_planned';

alter table custody_event add column release_date_before date;
comment on column custody_event.planned_at is
    'The time that it is about, where that is to come: of the hearing or court date; of a release, noon UTC of its day, which is that day in all of America.';
comment on column custody_event.release_date_before is
    'Of a planned release: the day that was known before, which holds again where this is withdrawn. Empty: none was.';
comment on column held_change.status is
    'Empty: it is of a court date. due for release: of a planned release, whose day is in at, as in custody_event.planned_at.';

create function still_due(plan custody_event, o offender) returns boolean immutable language sql as $$
    select o.status = 'in custody' and o.release_date is not distinct from (plan.planned_at at time zone 'UTC')::date
$$;
comment on function still_due is 'Whether somebody is still due to be released on the day that an event has told.';

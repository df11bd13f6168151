-- A snapshot may say of somebody who was said to be out that they are held: then what comes next is no correction.

alter table custody_event add column denied_at timestamptz;
comment on column custody_event.denied_at is
    'When a snapshot that came after it still had the person in custody since before it: the same at another time is news. Of a day of release that was withdrawn: when the agency said another, or none; from then on the same day again is news. Empty: never.';
create or replace view happened as
    select * from custody_event
    where planned_at is null and retracted_at is null and kind not in ('corrected', 'corrected_court');

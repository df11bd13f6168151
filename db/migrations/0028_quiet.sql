-- What staff said and had nobody called of: to hear it of an agency, of a later time, is the first that people hear of it.

alter table custody_event add column quiet boolean not null default false;
comment on column custody_event.quiet is
    'Staff said it and chose that nobody is called. The same of a later time is news, and the same once more by staff is told.';
create or replace view happened as
    select * from custody_event
    where planned_at is null and retracted_at is null and kind not in ('corrected', 'corrected_court');

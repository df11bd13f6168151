-- What was taken for one event, and then for two, is one again where what showed that is withdrawn.

alter table custody_event
    add column apart_from bigint references custody_event,
    add column apart_at timestamptz,
    drop constraint custody_event_check,
    add check (effective_at = any (stated_times) or (apart_from is not null and stated_times = '{}'));
comment on column custody_event.apart_from is
    'Of one that was taken for the same as another, until something was said to have happened between its times and those of that one: the other one, with which it is one again where that is withdrawn. Then that has its times. Empty: it was always an event of its own.';
comment on column custody_event.apart_at is 'Since when that other one held before they were two.';
create index custody_event_apart on custody_event (offender_id) where apart_from is not null;
create or replace view happened as
    select * from custody_event
    where planned_at is null and retracted_at is null and kind not in ('corrected', 'corrected_court');

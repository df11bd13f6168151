-- What was told of a court date and was wrong is corrected by what is known of court dates, not of custody.

insert into event_kind (kind, class, meaning, about) values
    ('corrected_court', 'critical', 'what was told before of a court date was wrong', 'court');
create or replace view happened as
    select * from custody_event
    where planned_at is null and retracted_at is null and kind not in ('corrected', 'corrected_court');

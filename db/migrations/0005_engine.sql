-- The engine: by which trunk and in what order calls are made, and which hosts make them.

alter table notification
    add column rung       boolean  not null default false,
    add column next_trunk smallint not null default 1 check (next_trunk > 0);
comment on column notification.rung is
    'Whether a telephone was rung for it, as far as we know: first calls go before repeats. A call that was lost, or that a trunk refused, rang none.';
comment on column notification.next_trunk is
    'From which of the settings'' trunks on, counted from 1, it is called next: more than 1 only right after a trunk has refused.';
alter table proof add column next_trunk smallint not null default 1 check (next_trunk > 0);
comment on column proof.next_trunk is 'As a notification''s.';
update notification n set rung = true where state = 'open' and exists (
    select from attempt_carries c join call_attempt a on a.id = c.attempt_id
    where c.notification_id = n.id and outcome is distinct from 'lost');

create table turn (
    offender_id bigint      primary key,
    called_at   timestamptz not null
);
comment on table turn is
    'When somebody was last called about an offender: the turn goes round, so that the many calls about one do not hold up the first about another. It refers to no offender''s row, because an import may hold that for long.';

create index call_attempt_by_trunk on call_attempt (trunk, claimed_at);
create index call_attempt_by_end on call_attempt (ended_at) where ended_at is not null;
create index proof_calls_of_number on call_attempt (number_hash, dialled_at) where proof_id is not null;

alter table registrant add column canary boolean not null default false;
comment on column registrant.canary is 'The test registrant of ours, who stands for nobody and is counted nowhere.';
create unique index one_canary on registrant (canary) where canary;

create table host (
    name    text        primary key,
    beat_at timestamptz not null
);
comment on table host is 'A machine whose dialer makes calls. One that is stopped in order takes its row away.';
comment on column host.beat_at is 'When its dialer last looked: what one that is silent had claimed and not begun is called by others.';

-- Each call asks what waits for those who have its telephone; without this index that read every registration there is.
create index registration_of_registrant on registration (registrant_id);

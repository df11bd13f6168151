-- What a refusal means, for the number and for the trunk.

alter table call_attempt add column refused_as text check (refused_as in ('no such number', 'blocked as spam'));
comment on column call_attempt.refused_as is
    'What the network''s refusal says beyond this call. no such number: of the telephone. blocked as spam: of us. Empty: nothing.';
-- The last calls to a number, and of a trunk.
create index call_attempt_of_number on call_attempt (number_hash, id);
create index call_attempt_of_trunk on call_attempt (trunk, ended_at);

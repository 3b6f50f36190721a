-- A test sign-in whose message was right may say why that person would not be let in.
alter table saml.attempt drop constraint attempt_reason;
alter table saml.attempt add constraint attempt_reason
  check (case result when 'REFUSED' then reason is not null when 'TESTED' then true else reason is null end);

-- What is over is let go: the rows of subjects behind sessions that have long ended too.
grant delete on saml.session to maristan_auth;
